//! `umlaut logs`.

use crate::client;
use control::{Failure, Message};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use tools::cli::Logs;

pub fn run(base: &Path, args: &Logs) -> Result<ExitCode, String> {
    let (machine, mut hearing, saying) = client::open(base, &args.name)?;
    let follow = args.follow;
    saying
        .say(&Message::Log { follow })
        .map_err(|e| format!("machine '{}': {e}", machine.umid))?;
    loop {
        match hearing.expect(&machine.umid) {
            Ok(Message::Data { bytes, .. }) => {
                let mut out = std::io::stdout().lock();
                if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
                    // Whoever reads has had enough.
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Ok(_) => {}
            // The log is over, or the machine.
            Err(e) if e.why == Some(Failure::Ended) => return Ok(ExitCode::SUCCESS),
            Err(e) => return Err(e.text),
        }
    }
}
