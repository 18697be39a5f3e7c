//! The commands' pages and completions, from what `--help` is made of.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use loopkdc::cli::Cli;

use crate::text;

fn program() -> Command {
    // That there is help, no page needs to say.
    let program = Cli::command().disable_help_subcommand(true);
    let mut program = program.term_width(80);
    program.build();
    program
}

/// The page with the values that options take in its synopsis, where clap_mangen leaves them out.
fn with_values(page: String, command: &Command) -> String {
    let options = command.get_opts().filter(|option| !option.is_hide_set());
    options.fold(page, |page, option| {
        let name = option.get_long().unwrap().replace('-', "\\-");
        let value = option.get_value_names().unwrap()[0].as_str();
        let bare = format!("[\\fB\\-\\-{name}\\fR]");
        assert!(page.contains(&bare), "{bare} in {page}");
        page.replacen(&bare, &format!("[\\fB\\-\\-{name}\\fR \\fI{value}\\fR]"), 1)
    })
}

/// The pages' names and what `--help` knows of them.
pub(super) fn pages() -> Vec<(String, String)> {
    let program = program();
    let commands = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let commands = commands.map(page);
    std::iter::once(page(&program)).chain(commands).collect()
}

fn page(command: &Command) -> (String, String) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut commands = command.get_subcommands();
    let has_commands = commands.any(|command| !command.is_hide_set());
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("8")
        .source(concat!("loopkdc ", env!("CARGO_PKG_VERSION")))
        .manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    let prose = text(&format!("man/prose/{name}.8"));
    let (description, rest) = prose.split_at(prose[1..].find("\n.SH ").unwrap() + 2);
    page.extend_from_slice(description.as_bytes());
    if has_commands {
        man.render_subcommands_section(&mut page).unwrap();
    }
    man.render_options_section(&mut page).unwrap();
    page.extend_from_slice(rest.as_bytes());
    let page = with_values(String::from_utf8(page).unwrap(), command);
    // An empty date is left out, and the next word taken for it.
    let page = page.replacen(" 8  \"", " 8 \"\" \"", 1);
    (format!("{name}.8"), page)
}

/// The scripts' names and texts: what clap makes of the command line, and what the words mean that are no options.
pub(super) fn completions() -> Vec<(String, String)> {
    let names: Vec<_> = visible()
        .get_subcommands()
        .map(|each| each.get_name().to_owned())
        .collect();
    let commands = names.join(" ");
    let script = |shell: Shell| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut visible(), "loopkdc", &mut script);
        String::from_utf8(script).unwrap()
    };
    let bash = script(Shell::Bash).replace("complete -F _loopkdc ", "complete -F _loopkdc_words ");
    let (made, register) = bash.rsplit_once("\nif [[").unwrap();
    let words = BASH.replace("COMMANDS", &commands);
    let bash = format!("{made}{words}\nif [[{register}");
    let zsh = script(Shell::Zsh).replacen("\n_loopkdc() {", &format!("{ZSH}\n_loopkdc() {{"), 1);
    let is_of_realm = |line: &&str| line.contains("::realm -- ") || line.contains(":REALM:");
    let with_realms = |line: &str| match Some(line).filter(is_of_realm) {
        Some(line) => line.replace(":_default'", ":_loopkdc_realms'") + "\n",
        None => format!("{line}\n"),
    };
    let zsh = zsh.lines().map(with_realms).collect();
    let fish = script(Shell::Fish) + &FISH.replace("COMMANDS", &commands);
    let scripts = [
        ("loopkdc.bash", bash),
        ("_loopkdc", zsh),
        ("loopkdc.fish", fish),
    ];
    scripts
        .map(|(name, script)| (name.to_owned(), script))
        .into()
}

/// Realms are those of the configuration that is found without being told. Where a file is meant, bash has a default of its own.
const BASH: &str = r#"
_loopkdc_words() {
    local words=""
    _loopkdc "$@"
    [[ "$2" == -* ]] && return 0
    case "${COMP_CWORD},${COMP_WORDS[1]},$3" in
        1,*) words="help COMMANDS" ;;
        *,help,help) words="COMMANDS" ;;
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
"#;
const ZSH: &str = r#"
_loopkdc_realms() {
    local -a realms
    realms=(${(f)"$(loopkdc check 2>/dev/null | sed -n 's/^realm \([^ *]*\).*/\1/p')"})
    compadd -a realms
}
"#;
const FISH: &str = r#"
function __fish_loopkdc_realms
    loopkdc check 2>/dev/null | string replace -rf '^realm ([^ *]+).*' '$1'
end

complete -c loopkdc -n "__fish_loopkdc_needs_command" -f -a "help" -d 'Print help, or that of a command'
complete -c loopkdc -n "__fish_loopkdc_using_subcommand help" -f -a "COMMANDS"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand doctor wait" -f -a "(__fish_loopkdc_realms)"
complete -c loopkdc -n "__fish_loopkdc_using_subcommand import" -l realm -r -f -a "(__fish_loopkdc_realms)"
"#;

/// Without the commands that are of use to the program alone: completions would offer them.
fn visible() -> Command {
    let program = Cli::command();
    let commands: Vec<_> = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    let bare = Command::new("loopkdc")
        .disable_help_subcommand(true)
        .version(env!("CARGO_PKG_VERSION"));
    bare.subcommands(commands)
}
