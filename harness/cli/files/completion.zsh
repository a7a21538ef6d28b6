#compdef attest
# zsh completion for attest: the program itself knows what may follow.
_attest() {
    local -a found
    found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
if [ "$funcstack[1]" = _attest ]; then
    _attest "$@"
else
    compdef _attest attest
fi
