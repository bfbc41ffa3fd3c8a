//! The command line of `fmrai`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fmrai_torch::generate::GenerateConfig;

use crate::calls;
use crate::commands::{
    DataOptions, analyzers, capture, check, generate, inspect, merge, plugin, query, report, run, schema,
    serve,
};
use crate::error::{Error, Exit, one_line};
use crate::guardian;
use crate::plan::Catalogue;
use crate::plugins::{Pins, Policy};
use crate::run::{Part, Work};
use crate::serve::Settings;
use crate::terminal;

/// See inside neural networks: runs analyses of a model over data, as a plan says.
///
/// Exit codes: 0 done, 1 an analysis failed, 2 the plan, the model, the data or the command line is wrong,
/// 3 the run could not be finished, 4 the watched model gave other outputs than the untouched one, 130 interrupted (go on with
/// --resume).
#[derive(Debug, Parser)]
#[command(name = "fmrai", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What to log to stderr: error, warn, info, debug, trace, or `fmrai_core=debug,warn`
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    log: String,
    /// Folder that plugins may be loaded from, with all below it; may be given again. Plugins may do whatever you may
    #[arg(long, global = true, value_name = "DIR")]
    plugin_dir: Vec<PathBuf>,
    /// Plugins may be loaded from the folder of the plan too
    #[arg(long, global = true)]
    plugins_beside_plan: bool,
    /// The record of calls that another process of this program watches
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    guarded: Option<PathBuf>,
}

impl Arguments {
    /// True if code of plugins will run in the process that does what these say.
    fn load_plugins(&self) -> bool {
        match &self.command {
            Command::Run { plan, .. } | Command::Check { plan } => guardian::names_plugins(plan),
            Command::Merge { folder, plan, .. } => {
                merge::plan_of(plan.as_deref(), folder).is_ok_and(|plan| guardian::names_plugins(&plan))
            }
            Command::Inspect { model, .. } => guardian::names_plugins(model),
            Command::Analyzers { plugin, .. } | Command::Schema { plugin } => !plugin.is_empty(),
            _ => false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Writes a plugin that builds, tests itself and runs in a plan as it stands
    New {
        /// Its name: lower-case letters, digits, `-` and `_`
        name: String,
        /// What it is written in
        #[arg(long, value_enum, default_value = "rust")]
        lang: plugin::new::Language,
        /// Folder for it [default: its name]
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Drives a plugin through the whole contract of analyzers, in processes that it may bring down
    Check {
        /// The library file; its folder is then allowed
        file: PathBuf,
        /// One analyzer of it only
        #[arg(long, value_name = "NAME")]
        analyzer: Option<String>,
        /// One trial only, e.g. `merge`; may be repeated
        #[arg(long, value_name = "NAME")]
        trial: Vec<String>,
        /// Its config, a JSON object
        #[arg(long, value_name = "JSON")]
        config: Option<String>,
        /// Recorded batches to drive it with, from `fmrai capture` [default: six texts through a small BERT]
        #[arg(long, value_name = "DIR")]
        activations: Option<PathBuf>,
        /// Seconds that a trial may take, loading the plugin not counted
        #[arg(long, value_name = "N", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
        timeout: u64,
        /// The findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// One trial of `check`
    #[command(hide = true)]
    Trial {
        #[arg(long)]
        trial: String,
        #[arg(long)]
        analyzer: String,
        #[arg(long)]
        config: Option<String>,
        #[arg(long)]
        activations: PathBuf,
        #[arg(long)]
        result: PathBuf,
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a plan and writes its results
    Run {
        /// The plan, a JSON file
        plan: PathBuf,
        /// Folder for the results, instead of the plan's
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Go on from where an interrupted run was
        #[arg(long)]
        resume: bool,
        /// Write into an output folder that holds something else; drops the state of an unfinished run
        #[arg(long, conflicts_with = "resume")]
        force: bool,
        /// Threads for the model and the analyses [default: all cores]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        threads: Option<u16>,
        /// Run one of N parts of the data only, the first being 1/N, and keep what it gives for `fmrai merge`
        #[arg(long, value_name = "K/N")]
        shard: Option<Part>,
        /// Run these batches of the data only, from the first to before the second, as `--shard` does
        #[arg(long, value_name = "FROM..TO", conflicts_with = "shard")]
        batches: Option<Part>,
    },
    /// Puts together what runs of parts of a plan's data have kept, and writes the results
    Merge {
        /// Output folders of runs with --shard or --batches, of interrupted runs, or of merges with --partial
        #[arg(required = true)]
        folder: Vec<PathBuf>,
        /// The plan [default: the one that the first folder was made by]
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Folder for the results, instead of the plan's
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Where parts are missing, keep what is there for another merge
        #[arg(long)]
        partial: bool,
        /// Write into an output folder that holds something else; drops the state of an unfinished run
        #[arg(long)]
        force: bool,
        /// Threads for the analyses [default: all cores]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        threads: Option<u16>,
    },
    /// Tells every mistake of a plan, or what it will do
    Check {
        /// The plan, a JSON file
        plan: PathBuf,
    },
    /// Writes activations of a model over data to disk
    Capture {
        /// A model's folder, a .gguf, .pt2 or .pt file, or a plan
        model: PathBuf,
        /// A .txt, .jsonl, .csv, .tsv, .safetensors or .npy file, or NAME=FILE.npy for each input
        #[arg(long, value_name = "FILE")]
        data: Vec<String>,
        /// What to capture, e.g. `attention[*].probabilities` or `encoder.layer.*.output`; may be repeated
        #[arg(long, value_name = "SELECTOR", required = true)]
        select: Vec<String>,
        /// Folder for the results
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
        /// Field or column of the data that holds the text
        #[arg(long, value_name = "NAME")]
        field: Option<String>,
        /// Samples per batch
        #[arg(long, value_name = "N")]
        batch_size: Option<usize>,
        /// Longest text in tokens
        #[arg(long, value_name = "N")]
        max_tokens: Option<usize>,
        /// The first samples only
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Element types of the files: those of the model, or float16 and bfloat16 widened
        #[arg(long, value_parser = ["stored", "float32"], default_value = "stored")]
        dtype: String,
        /// Folder with the tokenizer, for texts and an archive without one
        #[arg(long, value_name = "DIR")]
        tokenizer: Option<PathBuf>,
        /// Go on from where an interrupted capture was
        #[arg(long)]
        resume: bool,
        /// Write into an output folder that holds something else; drops what an unfinished capture has written
        #[arg(long, conflicts_with = "resume")]
        force: bool,
        /// Threads for the model [default: all cores]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        threads: Option<u16>,
    },
    /// Tells what a model is made of; runs it on a short text where that is not known beforehand
    Inspect {
        /// A model's folder, a .gguf, .pt2 or .pt file, or a plan
        model: PathBuf,
        /// List the tensors that a selector selects, and nothing else; may be repeated
        #[arg(long, value_name = "SELECTOR")]
        select: Vec<String>,
        /// Write the graph in the DOT language
        #[arg(long, value_name = "FILE")]
        dot: Option<PathBuf>,
        /// Write the graph as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Write a page that shows the model: its structure and its graph, to be explored
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write the graph as a picture
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Write the graph as JSON for Google's Model Explorer
        #[arg(long, value_name = "FILE")]
        model_explorer: Option<PathBuf>,
        /// Write what was found as a structure file, which beside the model corrects what is found
        #[arg(long, value_name = "FILE")]
        structure: Option<PathBuf>,
        /// The text to run the model on
        #[arg(long, conflicts_with = "data")]
        text: Option<String>,
        /// Run the model on the first sample of this data: as for `capture`
        #[arg(long, value_name = "FILE")]
        data: Vec<String>,
        /// Field or column of the data that holds the text
        #[arg(long, value_name = "NAME")]
        field: Option<String>,
        /// Folder with the tokenizer, for texts and an archive without one
        #[arg(long, value_name = "DIR")]
        tokenizer: Option<PathBuf>,
    },
    /// Continues a text with a decoder, and prints it
    Generate {
        /// Folder of a Hugging Face checkpoint, or a GGUF file
        model: PathBuf,
        /// The text to continue
        #[arg(long, value_name = "TEXT")]
        prompt: String,
        /// Take the text as what a user says in a dialogue, by the model's own chat template, and print the answer
        #[arg(long)]
        chat: bool,
        /// Most tokens to add
        #[arg(long, value_name = "N", default_value_t = 50)]
        max_new_tokens: usize,
        /// Draw tokens, with logits divided by this; 0 takes the likeliest token
        #[arg(long, value_name = "T", default_value_t = 0.0)]
        temperature: f64,
        /// Draw among this many likeliest tokens
        #[arg(long, value_name = "K")]
        top_k: Option<usize>,
        /// Draw among the likeliest tokens whose probabilities sum to this
        #[arg(long, value_name = "P")]
        top_p: Option<f64>,
        /// Seed of the draws
        #[arg(long, value_name = "S", default_value_t = 0)]
        seed: u64,
        /// Add a direction to the stream before a layer: a safetensors file, such as the tensors of a `steering` analysis, perhaps with the
        /// name of the tensor after a colon
        #[arg(long, value_name = "FILE[:TENSOR]")]
        steer: Option<String>,
        /// How many times the direction is added; 0 changes nothing
        #[arg(
            long,
            value_name = "C",
            default_value_t = 1.0,
            allow_negative_numbers = true,
            requires = "steer"
        )]
        strength: f64,
        /// The layer before which it is added, from 0; the number of layers stands for the end of the last one
        #[arg(long, value_name = "L", requires = "steer")]
        layer: Option<usize>,
        /// Change the passes of the model, e.g. '{"site": "head", "layer": 3, "heads": [1], "with": "zero"}': sites head, neuron (with
        /// "neurons"), ffn, attention, block; with "zero" or {"scale": 0.5}. May be given again
        #[arg(long, value_name = "JSON")]
        edit: Vec<String>,
        /// Which tokens are steered and edited
        #[arg(long, value_enum, value_name = "FROM", default_value = "prompt-end")]
        edit_from: generate::From,
    },
    /// Asks the stores that analyses have left; lists what can be asked where no question is named
    #[command(disable_help_subcommand = true, subcommand_value_name = "QUESTION [--PARAMETER VALUE]...")]
    Query {
        /// The output folder of a run, the folder of an analysis, or a store.sqlite
        run: PathBuf,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        question: Option<query::Asked>,
    },
    /// Writes report.html, a page that shows all results of a run, also of one that was killed
    Report {
        /// The output folder of a run
        folder: PathBuf,
        /// The file [default: report.html in the folder]
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write what the page shows as JSON, instead of the page or beside it
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Serves the pages of runs over HTTP: live progress, comparison of two, questions, and a text box with the model of a run
    Serve {
        /// Output folders of runs, or folders that have such in them
        #[arg(required = true)]
        folder: Vec<PathBuf>,
        /// The address to listen at; others than the default let other machines in
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        address: std::net::IpAddr,
        /// The port; 0 for any that is free
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// Open a browser
        #[arg(long)]
        open: bool,
    },
    /// Lists the analyzers and what they can be told
    Analyzers {
        /// As JSON: name, summary, origin, example, schema
        #[arg(long)]
        json: bool,
        /// With those of a plugin; its folder is then allowed
        #[arg(long, value_name = "FILE")]
        plugin: Vec<PathBuf>,
    },
    /// Makes plugins and checks them
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Prints the JSON Schema of a plan, for editors
    Schema {
        /// With the analyzers of a plugin; its folder is then allowed
        #[arg(long, value_name = "FILE")]
        plugin: Vec<PathBuf>,
    },
}

/// The program: reads the command line, does what it says, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    // An analyzer's panic is that analysis's failure; only what reaches this function is the program's.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let arguments = match parsed(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    match &arguments.guarded {
        Some(record) if !guardian::follow(record) || calls::record_to(record).is_err() => {
            return Exit::Internal.into();
        }
        Some(_) => {}
        None if arguments.load_plugins() => {
            if let Some(code) = guardian::run() {
                return ExitCode::from(u8::try_from(code).unwrap_or(Exit::Internal as u8));
            }
        }
        None => {}
    }
    let exit = done(arguments);
    calls::done(exit as i32);
    exit.into()
}

/// The same for a program that this library is a part of, with arguments that are not those of its process: the command's own name is left
/// out. Plugins run in this process, where nobody watches over them. Gives the exit code.
#[must_use]
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let name = OsString::from("fmrai");
    match parsed(std::iter::once(name).chain(arguments)) {
        Ok(arguments) => done(arguments) as u8,
        Err(exit) => exit as u8,
    }
}

/// What the command line says, or how to end where it says nothing that can be done.
fn parsed(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Exit> {
    Arguments::try_parse_from(arguments).map_err(|error| {
        let exit = if error.use_stderr() { Exit::Input } else { Exit::Success };
        let _ = error.print(); // a reader that has gone
        exit
    })
}

/// Does what the command line says, and tells what went wrong.
fn done(arguments: Arguments) -> Exit {
    match std::panic::catch_unwind(|| execute(arguments)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            terminal::note(&one_line(&error));
            error.exit()
        }
        Err(_) => {
            terminal::note("error: internal error, please report it with the lines above");
            Exit::Internal
        }
    }
}

/// What plans can name; plugins that the user names are allowed by that.
fn catalogue(folders: Vec<PathBuf>, beside_plan: bool, named: &[PathBuf]) -> Result<Catalogue, Error> {
    let policy = Policy::new(folders, beside_plan).with_settings();
    let policy = named.iter().fold(policy, |policy, file| policy.with_folder_of(file));
    let mut catalogue = Catalogue::linked()?.with_policy(policy);
    for file in named {
        catalogue.load(file, &Pins::default(), None)?;
    }
    Ok(catalogue)
}

fn execute(arguments: Arguments) -> Result<Exit, Error> {
    log(&arguments.log)?;
    let catalogue = |named: &[PathBuf]| catalogue(arguments.plugin_dir, arguments.plugins_beside_plan, named);
    match arguments.command {
        Command::Run { plan, output, resume, force, threads, shard, batches } => {
            let work = shard.or(batches).map_or(Work::Whole, Work::Part);
            let asked = run::Asked { work, resume, force, threads: threads.map(usize::from) };
            run::run(&plan, &catalogue(&[])?, output, asked)
        }
        Command::Merge { folder, plan, output, partial, force, threads } => {
            let threads = threads.map(usize::from);
            let options = merge::MergeOptions { folders: folder, plan, output, partial, force, threads };
            merge::merge(&catalogue(&[])?, options)
        }
        Command::Check { plan } => check::check(&plan, &catalogue(&[])?),
        Command::Capture {
            model,
            data,
            select,
            output,
            field,
            batch_size,
            max_tokens,
            limit,
            dtype,
            tokenizer,
            resume,
            force,
            threads,
        } => {
            let read = DataOptions { field, batch_size, max_tokens, limit };
            let threads = threads.map(usize::from);
            let options = capture::CaptureOptions {
                model,
                tokenizer,
                data,
                read,
                select,
                dtype,
                output,
                resume,
                force,
                threads,
            };
            capture::capture(&options)
        }
        Command::Inspect {
            model,
            select,
            dot,
            json,
            html,
            svg,
            model_explorer,
            structure,
            text,
            data,
            field,
            tokenizer,
        } => {
            let pages = inspect::pages::PageOptions { html, svg, model_explorer };
            let options = inspect::InspectOptions {
                model,
                tokenizer,
                dot,
                json,
                pages,
                structure,
                text,
                data,
                field,
                select,
            };
            inspect::inspect(&options, &catalogue(&[])?)
        }
        Command::Generate {
            model,
            prompt,
            chat,
            max_new_tokens,
            temperature,
            top_k,
            top_p,
            seed,
            steer,
            strength,
            layer,
            edit,
            edit_from,
        } => {
            let config = GenerateConfig { max_new_tokens, temperature, top_k, top_p, seed };
            let edits = generate::EditOptions { steer, strength, layer, edit, from: edit_from };
            generate::generate(&generate::GenerateOptions { model, prompt, chat, config, edits })
        }
        Command::Query { run, json, question } => query::query(&run, question.as_ref(), json),
        Command::Serve { folder, address, port, open } => {
            serve::serve(Settings { folders: folder, address, port }, open)
        }
        Command::Report { folder, html, json } => report::report(&folder, html, json.as_deref()),
        Command::Analyzers { json, plugin } => analyzers::analyzers(&catalogue(&plugin)?, json),
        Command::Plugin { command } => match command {
            PluginCommand::New { name, lang, folder } => plugin::new::new(&name, lang, folder),
            PluginCommand::Check { file, analyzer, trial: trials, config, activations, timeout, json } => {
                let options = plugin::check::CheckOptions {
                    file,
                    activations,
                    config,
                    analyzer,
                    trials,
                    json,
                    timeout,
                };
                plugin::check::check(&options)
            }
            PluginCommand::Trial { trial, analyzer, config, activations, result, file } => {
                let options =
                    plugin::trial::TrialOptions { file, analyzer, trial, activations, config, result };
                plugin::trial::trial(&options)
            }
        },
        Command::Schema { plugin } => schema::schema(&catalogue(&plugin)?),
    }
}

fn log(level: &str) -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(level).map_err(|e| {
        Error::Usage(format!("--log {level}: {e}; valid is e.g. warn, debug or fmrai_core=debug"))
    })?;
    // Colours are for people: what is piped is plain, as `NO_COLOR` asks for too.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .without_time()
        .init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
