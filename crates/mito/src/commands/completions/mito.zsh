#compdef mito
# Completion of mito for zsh. Load it with: source <(mito completions zsh)
_mito() {
    local line
    local -a lines values shown
    lines=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        [[ -n "$line" ]] || continue
        values+=("${line%%$'\t'*}")
        [[ "$line" == *$'\t'?* ]] && shown+=("${line/$'\t'/  -- }") || shown+=("${line%%$'\t'*}")
    done
    if (( ${#values} )); then
        # As they come: the newest first.
        compadd -V mito -l -d shown -a values
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_mito" ]; then
    _mito "$@"
else
    compdef _mito mito
fi
