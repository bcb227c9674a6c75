# Sourced by the other scripts: makes a virtual environment with the tried versions, or re-uses it.
#
#   PYTHON   interpreter to make it with (default: the first of 3.12, 3.13, 3.11 that is on the path
#            or in a version manager's folder, and then python3, if it is 3.11 or newer)
#   VENV     its folder (default: .venv)
#
# usage: prepare_environment EXTRAS, e.g. prepare_environment train,report

# Whether it runs (a version manager puts names on the path that do not), and is new enough.
is_usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints the interpreter of a Python version, such as 3.12; nothing where there is none.
find_version() {
    local version=$1 candidate
    for candidate in \
        "python$version" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python"$version" \
        "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/python/"$version".*/bin/python"$version" \
        "${MISE_DATA_DIR:-$HOME/.local/share/mise}"/installs/python/"$version".*/bin/python"$version" \
        "$HOME"/.local/share/uv/python/cpython-"$version".*/bin/python"$version"; do
        if is_usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

find_python() {
    local version python
    if [ -n "${PYTHON:-}" ]; then
        if is_usable "$PYTHON"; then
            echo "$PYTHON"
            return
        fi
        echo "error: PYTHON=$PYTHON does not run, or is older than 3.11" >&2
        return 1
    fi
    for version in 3.12 3.13 3.11; do
        python=$(find_version $version)
        if [ -n "$python" ]; then
            echo "$python"
            return
        fi
    done
    if is_usable python3; then
        echo python3
        return
    fi
    echo "error: no Python 3.11 or newer was found (tried: 3.12, 3.13 and 3.11, on the path and in" \
        "version managers' folders, and python3); install one, or name it:" \
        "PYTHON=/path/to/python bash $0" >&2
    return 1
}

prepare_environment() {
    local extras=$1 venv=${VENV:-.venv} python version constraints wanted
    local options=() versions
    if [ ! -x "$venv/bin/python" ]; then
        python=$(find_python)
        echo "Making $venv with $("$python" --version)"
        "$python" -m venv "$venv"
    fi
    version=$("$venv/bin/python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
    constraints=constraints/python$version.txt
    if [ -f "$constraints" ]; then
        options=(--constraint "$constraints")
        versions="the versions of $constraints"
    else
        constraints=/dev/null
        versions="the newest versions: Python $version is not among the tried ones ($(cd constraints && echo *))"
    fi
    # Installed again only when the requirements have changed.
    wanted=$(echo "$PWD $extras" | cat - setup.cfg pyproject.toml "$constraints" | cksum)
    if [ "$(cat "$venv/installed-$extras" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing cnnjax[$extras] with $versions"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            ${options[@]+"${options[@]}"} --editable ".[$extras]"
        echo "$wanted" >"$venv/installed-$extras"
    fi
}
