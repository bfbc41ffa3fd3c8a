//! The command line of a question, as its declaration has it.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use fmrai_core::report::{Argument, Kind, Parameter, Question};

use super::cells::one_line;

/// The flag that every question has.
const JSON: &str = "json";

/// What a question was told.
pub(super) struct Told {
    pub(super) told: Vec<(String, Argument)>,
    pub(super) json: bool,
}

/// Reads what follows the name of a question; an error is also what help is.
pub(super) fn read(run: &Path, question: &Question, given: &[OsString]) -> Result<Told, clap::Error> {
    let name = format!("fmrai query {} {}", run.display(), question.name);
    let matches = command(question)
        .bin_name(name)
        .no_binary_name(true)
        .disable_version_flag(true)
        .try_get_matches_from(given)?;
    let told = question
        .parameters
        .iter()
        .filter_map(|parameter| Some((parameter.name.clone(), value(&matches, parameter)?)))
        .collect();
    Ok(Told { told, json: matches.get_flag(JSON) })
}

/// The parameters of a question as options.
pub(super) fn command(question: &Question) -> Command {
    let json = Arg::new(JSON).long(JSON).action(ArgAction::SetTrue).help("The answer as JSON");
    let options = question.parameters.iter().map(option);
    Command::new(question.name.clone()).about(one_line(&question.about)).args(options).arg(json)
}

fn option(parameter: &Parameter) -> Arg {
    let parser: ValueParser = match parameter.kind {
        Kind::Integer => value_parser!(i64).into(),
        Kind::Number => ValueParser::new(number),
        Kind::Text => value_parser!(String),
    };
    let option = Arg::new(parameter.name.clone())
        .long(parameter.name.replace('_', "-"))
        .value_name(parameter.kind.name().to_uppercase())
        .help(one_line(&parameter.about))
        .allow_hyphen_values(true)
        .value_parser(parser);
    match &parameter.default {
        Some(default) => option.default_value(default.to_string()),
        None => option.required(true),
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err("needed is a number".to_owned()),
    }
}

fn value(matches: &ArgMatches, parameter: &Parameter) -> Option<Argument> {
    let name = parameter.name.as_str();
    match parameter.kind {
        Kind::Integer => matches.get_one::<i64>(name).map(|i| Argument::Integer(*i)),
        Kind::Number => matches.get_one::<f64>(name).map(|x| Argument::Number(*x)),
        Kind::Text => matches.get_one::<String>(name).map(|text| Argument::Text(text.clone())),
    }
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::{Section, Shown};

    use super::*;

    fn question() -> Question {
        Question::new("near", "Shows what is near")
            .required("layer", Kind::Integer, "The layer, from 0")
            .optional("least_share", 0.5, "The least share")
            .optional("word", "é", "A word")
            .section(Section::table("near", "SELECT 1", vec![Shown::plain("x")]))
    }

    fn told(words: &[&str]) -> Result<Vec<(String, Argument)>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        read(Path::new("out"), &question(), &words).map(|read| read.told).map_err(|e| e.to_string())
    }

    #[test]
    fn parameters_are_options() {
        command(&question()).debug_assert();
        let expected = [("layer", (-3).into()), ("least_share", 0.25.into()), ("word", "--x".into())];
        let expected = expected.map(|(name, value): (&str, Argument)| (name.to_owned(), value));
        let given = ["--layer", "-3", "--word", "--x", "--least-share", "0.25"];
        assert_eq!(told(&given).unwrap(), expected);
        let defaults = told(&["--layer", "3"]).unwrap();
        assert_eq!(defaults[1..], [("least_share".to_owned(), 0.5.into()), ("word".to_owned(), "é".into())]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_valid() {
        for (given, needed) in [
            (&["--layer", "x"][..], "invalid value 'x' for '--layer <INTEGER>'"),
            (&[], "--layer <INTEGER>"),
            (&["--lyer", "3"], "a similar argument exists: '--layer'"),
            (&["--layer", "1", "--least-share", "NaN"], "needed is a number"),
            (&["--layer", "1", "--lear", "2"], "Usage: fmrai query out near"),
        ] {
            let error = told(given).unwrap_err();
            assert!(error.contains(needed), "{given:?}: {error}");
        }
        let help = told(&["--help"]).unwrap_err();
        for text in ["Shows what is near", "The layer, from 0", "[default: 0.5]"] {
            assert!(help.contains(text), "{help}");
        }
    }
}
