# Sourced by run_main.sh and run_tests.sh: finds Python, and keeps the virtual environment .venv up to date.
# Plain bash, 3.2 (macOS) and newer.

# Print the first Python on the PATH that is 3.11 or newer.
find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Print a command that installs what is missing: "python", or "venv" for the given Python.
mending_command() {
  local version=""
  if [ "$1" = venv ]; then
    version=$("$2" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  fi
  if command -v apt-get >/dev/null 2>&1; then
    if [ "$1" = venv ]; then echo "sudo apt-get install python$version-venv"; else echo "sudo apt-get install python3 python3-venv"; fi
  elif command -v dnf >/dev/null 2>&1; then
    echo "sudo dnf install python3.12"
  elif command -v brew >/dev/null 2>&1; then
    echo "brew install python@3.13"
  elif [ "$(uname)" = Darwin ]; then
    echo "xcode-select --install    # or install Python 3.13 from www.python.org"
  else
    echo "install Python 3.13 from www.python.org"
  fi
}

# Install a package with pip: with its own progress on a terminal, otherwise printing only errors.
install_package() {
  local quiet="-qq"
  if [ -t 2 ]; then quiet=""; fi
  # shellcheck disable=SC2086  # no argument at all on a terminal
  "$1" -m pip install $quiet --disable-pip-version-check --editable "$2" >&2
}

# Install the package, editable and with the given extra ("", "aws", "test"), into ROOT/.venv, unless it is up to date.
#
# The stamp is written last, so an interrupted installation has none and starts over. It contains the folder, because a
# virtual environment cannot be moved.
make_environment() {
  local root="$1" extra="$2" python venv stamp wanted
  venv="$root/.venv"
  stamp="$venv/.elastic-images${extra:+-$extra}"
  wanted="$(cksum <"$root/pyproject.toml")
$root"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$venv/bin/python" -c '' >/dev/null 2>&1; then
    return 0
  fi
  if ! python=$(find_python); then
    echo "Elastic Images needs Python 3.11 or newer. To install it:" >&2
    echo "    $(mending_command python)" >&2
    return 1
  fi
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "$python has no venv module. To install it:" >&2
    echo "    $(mending_command venv "$python")" >&2
    return 1
  fi
  echo "Installing into $venv; the first time takes about a minute." >&2
  if ! ls "$venv"/.elastic-images* >/dev/null 2>&1 || ! grep -qxF "$root" "$venv"/.elastic-images* ||
    ! "$venv/bin/python" -c '' >/dev/null 2>&1; then
    echo "  Creating the virtual environment with $python ..." >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" || return 1
  fi
  rm -f "$venv"/.elastic-images*
  echo "  Installing Elastic Images and its dependencies ..." >&2
  if ! install_package "$venv/bin/python" "$root${extra:+[$extra]}"; then
    echo "The installation failed; see the lines above. Run this again to retry." >&2
    return 1
  fi
  echo "$wanted" >"$venv/.elastic-images"
  if [ -n "$extra" ]; then echo "$wanted" >"$stamp"; fi
  echo "  Installed." >&2
}
