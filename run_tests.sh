#!/usr/bin/env bash
# Installs what the tests need into .venv, then runs the checks and all tests. Arguments go to pytest.
#
#   ./run_tests.sh                        what needs only Python; tests against real servers are skipped and say so
#   ./run_tests.sh --install-services     installs those servers and a browser first (apt); then nothing may be skipped
#   ./run_tests.sh tests/unit -k settings

set -u
self="$0"
while [ -L "$self" ]; do # a link to this file, in a folder of its own
  link=$(readlink "$self")
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P) || exit 1
cd "$root" || exit 1

services="chromium curl iproute2 mariadb-server postgresql nginx memcached systemd wrk"
install_services() {
  local as_root=""
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "--install-services needs apt-get. Install these by hand: $services" >&2
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then as_root="sudo"; fi
  echo "Installing $services ..." >&2
  $as_root apt-get update -qq || return 1
  # shellcheck disable=SC2086  # the list is meant to be split
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $services >/dev/null
}

if [ "${1:-}" = --install-services ]; then
  shift
  install_services || exit 1
  export ELASTIC_IMAGES_TEST_SERVICES=1
fi

# shellcheck source=scripts/environment.sh
. "$root/scripts/environment.sh"
make_environment "$root" test || exit 1

failed=""
check() {
  echo "== $*"
  "$root/.venv/bin/python" -m "$@" || failed="$failed$1 "
}
check ruff check
check ruff format --check --quiet
check mypy
echo "== lint-imports"
"$root/.venv/bin/lint-imports" --no-logo || failed="${failed}lint-imports "

# The tests come last, so that the last lines say how they went.
echo "== pytest"
if [ -n "$failed" ]; then echo "Failed before the tests: $failed"; fi
"$root/.venv/bin/python" -m pytest -n 2 --dist loadfile "$@"
status=$?
if [ "$status" = 0 ] && [ -n "$failed" ]; then status=1; fi
exit "$status"
