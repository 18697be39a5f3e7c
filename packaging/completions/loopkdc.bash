_loopkdc() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="loopkdc"
                ;;
            loopkdc,check)
                cmd="loopkdc__subcmd__check"
                ;;
            loopkdc,doctor)
                cmd="loopkdc__subcmd__doctor"
                ;;
            loopkdc,gateway)
                cmd="loopkdc__subcmd__gateway"
                ;;
            loopkdc,import)
                cmd="loopkdc__subcmd__import"
                ;;
            loopkdc,krb5-conf)
                cmd="loopkdc__subcmd__krb5__subcmd__conf"
                ;;
            loopkdc,run)
                cmd="loopkdc__subcmd__run"
                ;;
            loopkdc,status)
                cmd="loopkdc__subcmd__status"
                ;;
            loopkdc,wait)
                cmd="loopkdc__subcmd__wait"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        loopkdc)
            opts="-h -V --help --version run gateway check status wait doctor import krb5-conf"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__check)
            opts="-h --config --gateway --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__doctor)
            opts="-h --gateway --json --config --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__gateway)
            opts="-h --config --log --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log)
                    COMPREPLY=($(compgen -W "off error warn info debug" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__import)
            opts="-h --realm --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --realm)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__krb5__subcmd__conf)
            opts="-h --install --remove --no-sssd --sssd --inline --drop-in --only --unix --config --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --sssd)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__run)
            opts="-h --config --realm --ca --listen-kdc --listen-kpasswd --reachable-file --log --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --realm)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen-kdc)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen-kpasswd)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --reachable-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log)
                    COMPREPLY=($(compgen -W "off error warn info debug" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__status)
            opts="-h --gateway --json --watch --socket --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --socket)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        loopkdc__subcmd__wait)
            opts="-h --timeout --config --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

_loopkdc_words() {
    local words=""
    _loopkdc "$@"
    [[ "$2" == -* ]] && return 0
    case "${COMP_CWORD},${COMP_WORDS[1]},$3" in
        1,*) words="help run gateway check status wait doctor import krb5-conf" ;;
        *,help,help) words="run gateway check status wait doctor import krb5-conf" ;;
        *,doctor,--config|*,wait,--config|*,wait,--timeout) return 0 ;;
        *,doctor,*|*,wait,*|*,import,--realm)
            COMPREPLY=()
            # A realm may have a name that means something to the shell.
            while IFS= read -r words; do
                [[ "${words}" == "$2"* ]] && COMPREPLY+=( "$(printf '%q' "${words}")" )
            done < <(loopkdc check 2>/dev/null | sed -n 's/^realm \([^ *]*\).*/\1/p')
            return 0 ;;
        *,import,*) COMPREPLY=() && return 0 ;;
        *) return 0 ;;
    esac
    COMPREPLY=( $(compgen -W "${words}" -- "$2") )
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _loopkdc_words -o nosort -o bashdefault -o default loopkdc
else
    complete -F _loopkdc_words -o bashdefault -o default loopkdc
fi
