//! The management console, driven by raw datagrams, by Debian's `uml_mconsole` and by our own.

#![forbid(unsafe_code)]

mod mconsole {
    pub mod clients;
    pub mod commands;
    pub mod machine;
    pub mod names;
    pub mod stop;
    pub mod wire;
}

fn main() -> std::process::ExitCode {
    use mconsole::{clients, commands, names, stop, wire};
    umlaut_tests::suite::checks(&[
        ("mconsole/version", wire::version),
        ("mconsole/packets", wire::packets),
        ("mconsole/malformed", wire::malformed),
        ("mconsole/never_reads", wire::never_reads),
        ("mconsole/other_user", wire::other_user),
        ("mconsole/soak", wire::soak),
        ("mconsole/answers", commands::answers),
        ("mconsole/log", commands::log),
        ("mconsole/sysrq", commands::sysrq),
        ("mconsole/sysrq_crash", commands::sysrq_crash),
        ("mconsole/stack", commands::stack),
        ("mconsole/memory", commands::memory),
        ("mconsole/cad", commands::cad),
        ("mconsole/cad_restarts", commands::cad_restarts),
        ("mconsole/halt", commands::halt),
        ("mconsole/reboot", commands::reboot),
        ("mconsole/stop", stop::stop),
        ("mconsole/stop_idle", stop::stop_idle),
        ("mconsole/notify", names::notify),
        ("mconsole/umid", names::umid),
        ("mconsole/stale_directory", names::stale_directory),
        ("mconsole/sigterm", names::sigterm),
        ("mconsole/same_output", clients::same_output),
        ("mconsole/our_client", clients::our_client),
        ("mconsole/watchdog", clients::watchdog),
    ])
}
