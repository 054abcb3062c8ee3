//! Completions of the programs that have User-Mode Linux's command lines.

/// A program, and the words that may stand on its command line.
struct Program {
    name: &'static str,
    /// The first word is a machine's name.
    machine: bool,
    /// Those that end in `=` go on with a value.
    words: &'static [&'static str],
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "linux",
        machine: false,
        words: &[
            "--help",
            "--showconfig",
            "--version",
            "con=",
            "con0=",
            "con1=",
            "console=",
            "hostfs=",
            "init=",
            "mconsole=notify:",
            "mem=",
            "ncpus=",
            "nofsgsbase",
            "noreboot",
            "quiet",
            "ro",
            "root=",
            "rootflags=",
            "rootfstype=hostfs",
            "rw",
            "spin=auto",
            "spin=off",
            "ssl-non-raw",
            "ssl=",
            "ssl0=",
            "ssl1=",
            "uml_dir=",
            "umid=",
            "xterm=",
        ],
    },
    Program {
        name: "uml_mconsole",
        machine: true,
        words: &[
            "cad", "config", "go", "halt", "help", "int", "log", "proc", "reboot", "remove",
            "stack", "stop", "sysrq", "version",
        ],
    },
    Program {
        name: "uml_watchdog",
        machine: false,
        words: &["-mconsole", "-pid"],
    },
    Program {
        name: "port-helper",
        machine: false,
        words: &[],
    },
];

/// Shells, and where the completions of `program` for them are.
pub fn places(program: &str) -> [(&'static str, String); 3] {
    let under = |shell: &str, file: String| format!("docs/completions/{shell}/{file}");
    [
        ("bash", under("bash", program.to_owned())),
        ("zsh", under("zsh", format!("_{program}"))),
        ("fish", under("fish", format!("{program}.fish"))),
    ]
}

pub fn files() -> Vec<(String, String)> {
    PROGRAMS
        .iter()
        .flat_map(|program| {
            places(program.name).map(|(shell, place)| {
                let text = match shell {
                    "bash" => bash(program),
                    "zsh" => zsh(program),
                    _ => fish(program),
                };
                (place, text)
            })
        })
        .collect()
}

/// The shell's own words for the running machines' names.
const NAMES: &str = "$(umlaut ls -q 2>/dev/null)";

fn bash(program: &Program) -> String {
    let function = format!("_{}", program.name.replace('-', "_"));
    let words = program.words.join(" ");
    let choice = if program.machine {
        format!("[ \"$COMP_CWORD\" = 1 ] && words=\"{NAMES}\" || words='{words}'")
    } else {
        format!("words='{words}'")
    };
    // Words with `=` come in pieces unless they are put together again.
    format!(
        "# bash completion for {name}
{function}() {{
    local words current=\"$2\" line=\"${{COMP_LINE:0:COMP_POINT}}\"
    {choice}
    line=\"${{line##* }}\"
    if [[ \"$line\" == *=* ]]; then
        COMPREPLY=($(compgen -f -- \"${{line#*=}}\"))
    else
        COMPREPLY=($(compgen -W \"$words\" -f -- \"$current\"))
    fi
    [[ \"${{COMPREPLY[0]-}}\" == *= ]] && compopt -o nospace
    return 0
}}
complete -F {function} {name}
",
        name = program.name
    )
}

fn zsh(program: &Program) -> String {
    let words = program.words.join(" ");
    let mut text = format!("#compdef {}\n", program.name);
    if program.machine {
        text += &format!(
            "if (( CURRENT == 2 )); then\n    compadd -- ${{(f)\"{NAMES}\"}}\n    return\nfi\n"
        );
    }
    let (values, plain): (Vec<&str>, Vec<&str>) =
        words.split_whitespace().partition(|w| w.ends_with('='));
    for (option, words) in [("-S '' ", values), ("", plain)] {
        if !words.is_empty() {
            text += &format!("compadd {option}-- {}\n", words.join(" "));
        }
    }
    text + "_files\n"
}

fn fish(program: &Program) -> String {
    let name = program.name;
    let words = program.words.join(" ");
    let mut text = format!("# fish completion for {name}\n");
    if program.machine {
        text += &format!(
            "complete -c {name} -f -n 'test (count (commandline -opc)) -eq 1' -a '(umlaut ls -q 2>/dev/null)'\n"
        );
    }
    if !words.is_empty() {
        let when = if program.machine {
            "-n 'test (count (commandline -opc)) -gt 1' "
        } else {
            ""
        };
        text += &format!("complete -c {name} {when}-a '{words}'\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use umlaut_tests::paths;

    /// Words of `linux --help` at the start of a line, without numbers and values.
    fn told() -> Vec<String> {
        let help = Command::new(paths::linux()).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let head = |line: &str| -> Option<String> {
            let word = line.split(['[', '<', ' ']).next()?;
            let word = word.split_inclusive('=').next()?;
            (!word.is_empty() && line.starts_with(word)).then(|| word.to_owned())
        };
        help.lines().skip(2).filter_map(head).collect()
    }

    #[test]
    fn every_option_of_linux_has_a_completion_and_a_place_in_its_man_page() {
        let page = std::fs::read_to_string(paths::root().join("docs/man/linux.1")).unwrap();
        let page = page.replace("\\-", "-");
        for word in told() {
            let known = PROGRAMS[0].words.iter().any(|w| w.starts_with(&word));
            assert!(known, "{word} has no completion");
            assert!(page.contains(&word), "{word} is not in docs/man/linux.1");
        }
    }

    #[test]
    fn every_program_has_a_man_page() {
        for program in &PROGRAMS {
            let page = format!("docs/man/{}.1", program.name);
            assert!(paths::root().join(&page).exists(), "{page}");
        }
    }
}
