#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The texts that a technician reads, out of the sources and into the translations.
#
#   po/texts.sh extract FILE     writes the template of all texts
#   po/texts.sh write            brings po/*.po up to date; new texts wait there untranslated
set -eu
cd "$(dirname "$0")/.."

# The functions whose argument is a text, beside _() and N_(). They translate their format themselves.
keywords='_ N_ ngettext:1,2 log_line:3 err_note:3 config_error:4 config_warning:4 yaml_explain_at:4 say:3'

extract() {
    options=
    for k in $keywords; do options="$options --keyword=$k"; done
    # shellcheck disable=SC2086
    LC_ALL=C xgettext --language=C --from-code=UTF-8 --no-wrap --add-location=file --keyword $options \
        --package-name=fieldgate --output="$1" gateway/*.c drivers/*.c
    sed -i -e 's/charset=CHARSET/charset=UTF-8/' -e '/^"POT-Creation-Date/d' "$1"
}

case ${1:-} in
extract)
    extract "$2"
    ;;
write)
    template=$(mktemp)
    trap 'rm -f "$template"' EXIT
    extract "$template"
    for po in po/*.po; do
        msgmerge --quiet --no-wrap --add-location=file --no-fuzzy-matching --update --backup=none "$po" "$template"
        msgattrib --no-wrap --add-location=file --no-obsolete -o "$po" "$po"
    done
    ;;
*)
    echo "usage: po/texts.sh extract FILE | write" >&2
    exit 64
    ;;
esac
