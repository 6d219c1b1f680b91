//! What to measure, as the command line says it.

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: cargo bench -p testkit --bench executor -- [FILTER] [--rounds N] [--json]

  FILTER       only benches whose name contains it
  --rounds N   timed rounds, 1 to 1000; 9 if not given
  --json       print one JSON object; the table goes to the standard error
";

const ROUNDS: usize = 9;
const ROUNDS_MAX: usize = 1_000;

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    filter: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) is_json: bool,
}

/// What a command line asks for.
pub(crate) enum Request {
    Run(Options),
    Help,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
        let mut options = Self {
            filter: None,
            rounds: ROUNDS,
            is_json: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says so to every bench.
                "--bench" => {}
                "--json" => options.is_json = true,
                "--rounds" => options.rounds = parse_rounds(arguments.next())?,
                "--help" | "-h" => return Ok(Request::Help),
                unknown if unknown.starts_with('-') => {
                    return Err(format!("there is no option {unknown}"));
                }
                _ if options.filter.is_some() => return Err("give one filter at most".to_owned()),
                _ => options.filter = Some(argument),
            }
        }
        Ok(Request::Run(options))
    }

    /// Whether a bench of this name is wanted.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| name.contains(filter))
    }
}

fn parse_rounds(text: Option<String>) -> Result<usize, String> {
    let rounds = text.and_then(|text| text.parse().ok());
    let rounds = rounds.filter(|rounds| (1..=ROUNDS_MAX).contains(rounds));
    rounds.ok_or_else(|| format!("--rounds: choose 1 to {ROUNDS_MAX}"))
}
