# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_loopkdc_global_optspecs
    string join \n h/help V/version
end

function __fish_loopkdc_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_loopkdc_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_loopkdc_using_subcommand
    set -l cmd (__fish_loopkdc_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c loopkdc -n "__fish_loopkdc_needs_command" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -s V -l version -d 'Print version'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "run" -d 'Serve the KDC and password services on loopback, in the foreground'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "gateway" -d 'Serve a KDC proxy over HTTPS before real KDCs, in the foreground'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "check" -d 'Validate the configuration; show where each realm would go'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "status" -d 'Show how a running daemon is, and what to do about problems'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "wait" -d 'Wait until a realm can be reached'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "doctor" -d 'Ask the network, layer by layer, what is wrong, and say what to do'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "import" -d 'Make a configuration of a krb5.conf or of Windows\' list of proxies'
complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "krb5-conf" -d 'Print or install what krb5.conf has to say to send the realms here'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l config -d 'Read this file, not the usual ones' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l realm -d 'Serve REALM by the proxy at URL, or by those in DNS (REALM=discover); may be repeated, in the order to try. Without --config no file is read' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l ca -d 'Trust these certificates (PEM) too, for the realms given by --realm' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l listen-kdc -d 'Offer the KDC service here, not at 127.0.0.1:88 and [::1]:88; may be repeated' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l listen-kpasswd -d 'Offer the password-change service here, not at port 464; may be repeated' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l reachable-file -d 'Keep this file saying which realms can be reached, one a line; ask where nobody else does' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -l log -d 'Write this much to stderr: off, error, warn, info or debug' -r -f -a "off\t''
error\t''
warn\t''
info\t''
debug\t''"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand run" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand gateway" -l config -d 'Read this file, not the usual ones' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand gateway" -l log -d 'Write this much to stderr: off, error, warn, info or debug. The access log is none of it' -r -f -a "off\t''
error\t''
warn\t''
info\t''
debug\t''"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand gateway" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand check" -l config -d 'Read this file, not the usual ones' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand check" -l gateway -d 'The configuration of the gateway, not that of run'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand check" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand status" -l socket -d 'Read it here, not at the usual places' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand status" -l gateway -d 'The daemon is `loopkdc gateway`, not `loopkdc run`'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand status" -l json -d 'Print it as JSON: one object, of which the manual has every field'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand status" -l watch -d 'Draw it anew each second, on a terminal, until Ctrl-C'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand status" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand wait" -l timeout -d 'Give up after so many seconds: else never' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand wait" -l config -d 'Read this file, and don\'t ask the daemon what it serves and where' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand wait" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor" -l config -d 'Read this file, not the usual ones' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor" -l gateway -d 'Look at `loopkdc gateway` here and at its KDCs, not at `loopkdc run`'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor" -l json -d 'Say it in JSON, for programs'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand import" -l realm -d 'Proxies that stand there without their realm, as in an .rdp, are for this one' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand import" -s h -l help -d 'Print help'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l sssd -d 'Write what SSSD reads besides: of use to loopkdc-sssd.service alone' -r
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l config -d 'Read this file, not the usual ones' -r -F
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l install -d 'Write it to /etc, as root'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l remove -d 'Take away what --install wrote'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l no-sssd -d 'Leave SSSD alone, which else is set up so that its logins bring a ticket'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l inline -d 'Keep the stanzas in krb5.conf itself, for Heimdal, which knows no includedir'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l drop-in -d 'Keep them in a file of krb5.conf.d, which confined programs may not read'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l only -d 'With --install, make comments of what else names servers of these realms'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -l unix -d 'Name the Unix sockets among the listeners, for MIT krb5 1.22 and later'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand krb5-conf" -s h -l help -d 'Print help'

function __fish_loopkdc_realms
    loopkdc check 2>/dev/null | string replace -rf '^realm ([^ *]+).*' '$1'
end

complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "help" -d 'Print help, or that of a command'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand help" -f -a "run gateway check status wait doctor import krb5-conf"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor wait" -f -a "(__fish_loopkdc_realms)"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand import" -l realm -r -f -a "(__fish_loopkdc_realms)"
