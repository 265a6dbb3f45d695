#!/usr/bin/env bash
# Install what the tests need into .venv, then run the checks and the tests.
#
#   ./run_tests.sh                          the checks, then all tests; tests against real servers are skipped and say so
#   ./run_tests.sh --install-services       first install those servers and a browser (apt); then nothing may be skipped
#   ./run_tests.sh --checks                 only the checks: ruff, mypy, import-linter, codespell
#   ./run_tests.sh tests/unit/core -k map   only these tests, without the checks; the arguments go to pytest
#
# A few files run in one process and try fewer random inputs (--hypothesis-profile quick), so the result is there in seconds.

set -u
self="$0"
while [ -L "$self" ]; do # follow links to this file
  link=$(readlink "$self")
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P) || exit 1
cd "$root" || exit 1

services="chromium curl iproute2 mariadb-server postgresql nodejs php-cli pgbouncer nginx memcached systemd wrk"
few_files=30

install_services() {
  local as_root=""
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "--install-services needs apt-get. Install these by hand: $services" >&2
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then as_root="sudo"; fi
  echo "Installing services, 1 of 3: reading the package lists ..." >&2
  $as_root apt-get update -qq || return 1
  echo "Installing services, 2 of 3: downloading $services ..." >&2
  apt_install --download-only || return 1
  echo "Installing services, 3 of 3: unpacking and configuring ..." >&2
  apt_install
}

# On a terminal apt shows its own progress.
apt_install() {
  # shellcheck disable=SC2086  # the list is meant to be split
  set -- $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" $services
  if [ -t 2 ]; then "$@" >&2; else "$@" -qq >/dev/null; fi
}

failed=""
check() {
  echo "== $*"
  "$root/.venv/bin/$1" "${@:2}" || failed="$failed$1 "
}

run_checks() {
  check ruff check
  check ruff format --check --quiet
  check mypy
  check lint-imports --no-logo
  check codespell
}

# Whether the arguments name files or folders, and few enough of them for one process.
names_few_files() {
  local word count=0
  for word in "$@"; do
    word="${word%%::*}"
    if [ -e "$word" ]; then count=$((count + $(find "$word" -name 'test_*.py' | wc -l))); fi
  done
  [ "$count" -gt 0 ] && [ "$count" -le "$few_files" ]
}

only_checks=""
while true; do
  case "${1:-}" in
  --install-services)
    install_services || exit 1
    export ELASTIC_IMAGES_TEST_SERVICES=1
    ;;
  --checks) only_checks=1 ;;
  *) break ;;
  esac
  shift
done

# shellcheck source=scripts/environment.sh
. "$root/scripts/environment.sh"
make_environment "$root" test || exit 1

if [ -n "$only_checks" ] || [ $# = 0 ]; then run_checks; fi
if [ -n "$only_checks" ]; then
  if [ -n "$failed" ]; then echo "Failed: $failed"; fi
  [ -z "$failed" ]
  exit
fi

# The tests come last, so the last lines are pytest's.
if names_few_files "$@"; then
  set -- --hypothesis-profile quick "$@"
else
  set -- -n 2 --dist loadfile "$@"
fi
echo "== pytest $*"
if [ -n "$failed" ]; then echo "Failed before the tests: $failed"; fi
"$root/.venv/bin/python" -m pytest "$@"
status=$?
if [ "$status" = 0 ] && [ -n "$failed" ]; then status=1; fi
exit "$status"
