//! The command line of `fmrai`.

mod command;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use fmrai_core::graph::Summary;
use fmrai_torch::generate::GenerateConfig;

use crate::calls;
use crate::commands::{
    analyzers, attend, capture, check, generate, inspect, merge, neuron, plugin, query, report, run, schema,
    serve,
};
use crate::error::{Error, Exit, one_line};
use crate::guardian;
use crate::plan::Catalogue;
use crate::plugins::{Pins, Policy};
use crate::run::Work;
use crate::serve::Settings;
use crate::terminal;
use command::{Command, PluginCommand, PluginPlaces};

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
    /// The record of calls that another process of this program watches
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    guarded: Option<PathBuf>,
}

impl Arguments {
    /// True if code of plugins will run in the process that does what these say.
    fn load_plugins(&self) -> bool {
        match &self.command {
            Command::Run { plan, .. } | Command::Check { plan, .. } => guardian::names_plugins(plan),
            Command::Merge { folder, plan, .. } => {
                merge::plan_of(plan.as_deref(), folder).is_ok_and(|plan| guardian::names_plugins(&plan))
            }
            Command::Analyzers { plugin, .. } | Command::Schema { plugin } => !plugin.is_empty(),
            _ => false,
        }
    }
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

impl PluginPlaces {
    /// Them as arguments again.
    fn arguments(&self) -> Vec<OsString> {
        let folders = self.plugin_dir.iter().flat_map(|folder| ["--plugin-dir".into(), folder.into()]);
        folders.chain(self.plugins_beside_plan.then(|| "--plugins-beside-plan".into())).collect()
    }

    fn catalogue(self) -> Result<Catalogue, Error> {
        catalogue(self.plugin_dir, self.plugins_beside_plan, &[])
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
    match arguments.command {
        Command::Run {
            plan,
            output,
            resume,
            force,
            threads,
            device,
            memory,
            shard,
            batches,
            every,
            plugins,
        } => {
            let part = shard.or(batches).map_or(Work::Whole, Work::Part);
            let work = every.map_or(part, Work::Every);
            let asked = run::Asked { work, resume, force, threads: threads.map(usize::from), device, memory };
            run::run(&plan, &plugins.catalogue()?, output, asked)
        }
        Command::Merge { folder, plan, output, partial, force, threads, plugins } => {
            let threads = threads.map(usize::from);
            let options = merge::MergeOptions { folders: folder, plan, output, partial, force, threads };
            merge::merge(&plugins.catalogue()?, options)
        }
        Command::Check { plan, estimate, json, plugins } => {
            let options = check::CheckOptions { estimate, json, plugins: plugins.arguments() };
            check::check(&plan, &plugins.catalogue()?, &options)
        }
        Command::Capture {
            model,
            data,
            text,
            select,
            output,
            mut read,
            whole,
            dtype,
            tokenizer,
            resume,
            force,
            threads,
        } => {
            read.whole = whole;
            let threads = threads.map(usize::from);
            let options = capture::CaptureOptions {
                model,
                tokenizer,
                data,
                text,
                read,
                select,
                dtype: dtype.into(),
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
            depth,
            module,
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
                summary: Summary { module, depth: depth.map(usize::from) },
                json,
                pages,
                structure,
                text,
                data,
                field,
                select,
            };
            inspect::inspect(&options)
        }
        Command::Attend { model, text, head: heads, layer, svg, png, html, json, tokenizer } => {
            let options =
                attend::AttendOptions { model, tokenizer, text, heads, layer, svg, png, html, json };
            attend::attend(&options)
        }
        Command::Neuron { model, neuron, data, text, read, top, tied_embedding, tokenizer, json } => {
            let top = usize::from(top);
            let options = neuron::NeuronOptions {
                model,
                neuron,
                tokenizer,
                data,
                text,
                read,
                top,
                tied_embedding,
                json,
            };
            neuron::neuron(&options)
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
        Command::Analyzers { json, plugin } => {
            analyzers::analyzers(&catalogue(Vec::new(), false, &plugin)?, json)
        }
        Command::Plugin { command } => match command {
            PluginCommand::New { name, lang, experiment, folder } => {
                let kind =
                    if experiment { plugin::new::Kind::Experiment } else { plugin::new::Kind::Analyzer };
                plugin::new::new(&name, lang, kind, folder)
            }
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
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "fmrai", &mut script);
            terminal::answer(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Success)
        }
        Command::Schema { plugin } => schema::schema(&catalogue(Vec::new(), false, &plugin)?),
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
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
