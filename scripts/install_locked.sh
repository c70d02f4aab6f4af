#!/usr/bin/env bash
# Installs the packages of lock files into an environment, and reports its progress:
#
#     scripts/install_locked.sh .venv/bin/python requirements/cpu.txt requirements/page.txt
set -euo pipefail
python=$1
shift
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# pip unpacks in silence, and needs most of a minute for it.
report_unpacked() {
    while sleep 5; do
        unpacked=("$site"/*.dist-info)
        printf '  unpacked %d packages\n' "${#unpacked[@]}"
    done
}

"$python" -m pip install --disable-pip-version-check --progress-bar off \
    --require-hashes "${@/#/--requirement=}" | {
    fetched=0
    reporter=
    while read -r verb package _; do
        case $verb in
            Collecting | Processing)
                fetched=$((fetched + 1))
                printf '  %3d %s\n' "$fetched" "${package##*/}"
                ;;
            Installing)
                report_unpacked &
                reporter=$!
                ;;
        esac
    done
    [ -z "$reporter" ] || kill "$reporter"
}
