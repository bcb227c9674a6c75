# Sourced by the other scripts: makes a virtual environment with the tried versions, or re-uses it.
#
#   PYTHON   interpreter to make it with (default: the first of python3.11, python3.12, python3
#            that runs and is 3.11 or newer)
#   VENV     its folder (default: .venv)
#
# usage: prepare_environment EXTRAS, e.g. prepare_environment report,test

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.11 or newer was found (tried: ${PYTHON:-python3.11 python3.12 python3});" \
        "install one, or name it: PYTHON=/path/to/python bash $0" >&2
    return 1
}

prepare_environment() {
    local extras=$1 venv=${VENV:-.venv} python version constraints wanted
    if [ ! -x "$venv/bin/python" ]; then
        python=$(find_python)
        echo "Making $venv with $("$python" --version)"
        "$python" -m venv "$venv"
    fi
    version=$("$venv/bin/python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
    constraints=constraints/python$version.txt
    if [ ! -f "$constraints" ]; then
        echo "error: Python $version is not among the tried versions ($(ls constraints));" \
            "remove $venv and name another interpreter: PYTHON=python3.11 bash $0" >&2
        return 1
    fi
    # Installed again only when what is asked for has changed.
    wanted=$(echo "$PWD $extras" | cat - setup.cfg pyproject.toml "$constraints" | cksum)
    if [ "$(cat "$venv/installed-$extras" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing cnnjax[$extras] with the versions of $constraints"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --constraint "$constraints" --editable ".[$extras]"
        echo "$wanted" >"$venv/installed-$extras"
    fi
}
