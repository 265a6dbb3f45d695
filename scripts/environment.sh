# Sourced by run_main.sh and run_tests.sh: finds Python, and keeps the virtual environment .venv as pyproject.toml says.
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

# Print the one command that installs what is missing: "python", or "venv" for the Python given.
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

# Make ROOT/.venv hold the package with the given extra ("", "aws", "test"), editable: what is edited counts at once.
#
# The stamp is written last, so an installation that was interrupted has none, and is made anew from the beginning. It
# names the folder, too: a virtual environment does not survive being moved.
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
    echo "Elastic Images needs Python 3.11 or newer. This installs it:" >&2
    echo "    $(mending_command python)" >&2
    return 1
  fi
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "$python lacks its module venv. This installs it:" >&2
    echo "    $(mending_command venv "$python")" >&2
    return 1
  fi
  echo "Installing into $venv (this takes a minute the first time) ..." >&2
  if ! ls "$venv"/.elastic-images* >/dev/null 2>&1 || ! grep -qxF "$root" "$venv"/.elastic-images* ||
    ! "$venv/bin/python" -c '' >/dev/null 2>&1; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || return 1
  fi
  rm -f "$venv"/.elastic-images*
  if ! "$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable "$root${extra:+[$extra]}"; then
    echo "The installation failed; the lines above say why. Start this again to repeat it." >&2
    return 1
  fi
  echo "$wanted" >"$venv/.elastic-images"
  if [ -n "$extra" ]; then echo "$wanted" >"$stamp"; fi
}
