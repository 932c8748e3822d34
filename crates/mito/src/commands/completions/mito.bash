# Completion of mito for bash. Load it with: source <(mito completions bash)
_mito() {
    local line rest=$COMP_LINE next word current=${COMP_WORDS[COMP_CWORD]} i
    local -a words=()
    # The shell also splits at `=` and `:`. What has no blank before it belongs to the word before.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        next=${rest#"${rest%%[![:space:]]*}"}
        if ((i > 0)) && [[ $next == "$rest" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        rest=${next#"$word"}
    done
    # It replaces what follows the last such sign, and only that.
    [[ $current == [=:] ]] && current=
    local before=${words[${#words[@]} - 1]%"$current"}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$before"}")
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
}
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
    complete -o default -o nosort -F _mito mito
else
    complete -o default -F _mito mito
fi
