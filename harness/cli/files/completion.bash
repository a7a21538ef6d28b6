# bash completion for attest: the program itself knows what may follow.
_attest() {
    local IFS=$'\n'
    mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _attest attest
