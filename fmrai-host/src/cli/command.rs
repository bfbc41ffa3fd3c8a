//! The commands of the program, and what each can be told.

use std::path::PathBuf;

use clap::Subcommand;
use fmrai_core::activations::StoredAs;

use crate::commands::{DataOptions, generate, plugin, query};
use crate::plan::{Bytes, DeviceChoice};
use crate::run::Part;

/// Element types of the files of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StoredType {
    Stored,
    Float32,
}

impl From<StoredType> for StoredAs {
    fn from(named: StoredType) -> Self {
        match named {
            StoredType::Stored => Self::Stored,
            StoredType::Float32 => Self::Float32,
        }
    }
}

/// Where the plugins that a plan names may be.
#[derive(Debug, clap::Args)]
pub(super) struct PluginPlaces {
    /// Folder that plugins may be loaded from, with all below it; may be given again. Plugins may do whatever you may
    #[arg(long, value_name = "DIR")]
    pub(super) plugin_dir: Vec<PathBuf>,
    /// Plugins may be loaded from the folder of the plan too
    #[arg(long)]
    pub(super) plugins_beside_plan: bool,
}

/// What `fmrai plugin` can be told to do.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Writes a plugin that builds, tests itself and runs in a plan as it stands
    New {
        /// Its name: lower-case letters, digits, `-` and `_`
        name: String,
        /// What it is written in
        #[arg(long, value_enum, default_value = "rust")]
        lang: plugin::new::Language,
        /// A method that drives the model (edits, gradients), in place of one that looks at what it does
        #[arg(long)]
        experiment: bool,
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
        /// Seconds that a trial may take
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

/// What the program can be told to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
        /// Where the model runs, instead of the plan's: cpu, cuda, cuda:1, ..., or auto
        #[arg(long)]
        device: Option<DeviceChoice>,
        /// Most memory of the process, e.g. 8GiB or 500MB, instead of the plan's: batches are cut to fit
        #[arg(long, value_name = "BYTES")]
        memory: Option<Bytes>,
        /// Run one of N parts of the data only, the first being 1/N, and keep what it gives for `fmrai merge`
        #[arg(long, value_name = "K/N")]
        shard: Option<Part>,
        /// Run these batches of the data only, from the first to before the second, as `--shard` does
        #[arg(long, value_name = "FROM..TO", conflicts_with = "shard")]
        batches: Option<Part>,
        /// Run every N-th batch as if there were no others: what an estimate does
        #[arg(long, value_name = "N", hide = true, conflicts_with_all = ["shard", "batches", "resume"])]
        every: Option<u64>,
        #[command(flatten)]
        plugins: PluginPlaces,
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
        #[command(flatten)]
        plugins: PluginPlaces,
    },
    /// Tells every mistake of a plan, or what it will do
    Check {
        /// The plan, a JSON file
        plan: PathBuf,
        /// Tell what the run will take as well, memory, time and disk: runs a few of its batches
        #[arg(long)]
        estimate: bool,
        /// Write the estimate as JSON
        #[arg(long, value_name = "FILE", requires = "estimate")]
        json: Option<PathBuf>,
        #[command(flatten)]
        plugins: PluginPlaces,
    },
    /// Writes activations of a model over data to disk
    Capture {
        /// A model's folder, a .gguf, .pt2 or .pt file, or a plan
        model: PathBuf,
        /// A .txt, .jsonl, .csv, .tsv, .safetensors or .npy file, or NAME=FILE.npy for each input; - for lines of standard input
        #[arg(long, value_name = "FILE")]
        data: Vec<String>,
        /// A text in place of data; may be repeated
        #[arg(long, value_name = "TEXT", conflicts_with = "data")]
        text: Vec<String>,
        /// What to capture, e.g. `attention[*].probabilities`, `L5H1` or `encoder.layer.*.output`; may be repeated
        #[arg(long, value_name = "SELECTOR", required = true)]
        select: Vec<String>,
        /// Folder for the results
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        read: DataOptions,
        /// An input of tensors that is given whole with every batch, as where texts and images do not run in step; may be repeated
        #[arg(long, value_name = "INPUT")]
        whole: Vec<String>,
        /// Element types of the files: those of the model, or float16 and bfloat16 widened
        #[arg(long, value_enum, default_value = "stored")]
        dtype: StoredType,
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
        /// In --dot and --svg, modules this deep stand for all that runs in them
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        depth: Option<u16>,
        /// In --dot and --svg, what runs in this module alone, e.g. `model.layers.5`
        #[arg(long, value_name = "PATH")]
        module: Option<String>,
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
    /// Shows what the heads of a model look at in one text: their strongest links, or the matrix of a head
    Attend {
        /// A model's folder, a .gguf, .pt2 or .pt file, or a plan
        model: PathBuf,
        /// The text
        #[arg(long, value_name = "TEXT")]
        text: String,
        /// A head, e.g. L5H1; may be given again
        #[arg(long, value_name = "HEAD")]
        head: Vec<String>,
        /// The heads of one layer only
        #[arg(long, value_name = "N", conflicts_with = "head")]
        layer: Option<usize>,
        /// Write a picture: of the heads that are named, else of those with the strongest links
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// The same as PNG
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// Write a page with the attention of all heads, and with what each layer predicts
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write the numbers as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Folder with the tokenizer, for an archive without one
        #[arg(long, value_name = "DIR")]
        tokenizer: Option<PathBuf>,
    },
    /// Tells what one neuron of a feed-forward block promotes, and on which texts it is strongest; no analysis of the others
    Neuron {
        /// A model's folder, a .gguf, .pt2 or .pt file, or a plan, whose data are read where no others are given
        model: PathBuf,
        /// The neuron, e.g. L3N17
        neuron: String,
        /// A .txt, .jsonl, .csv or .tsv file; - for lines of standard input
        #[arg(long, value_name = "FILE")]
        data: Vec<String>,
        /// A text in place of data; may be repeated
        #[arg(long, value_name = "TEXT", conflicts_with = "data")]
        text: Vec<String>,
        #[command(flatten)]
        read: DataOptions,
        /// Texts and tokens that are listed
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        top: u16,
        /// Read its value with the token embedding, in a model without a map to a vocabulary
        #[arg(long)]
        tied_embedding: bool,
        /// Folder with the tokenizer, for an archive without one
        #[arg(long, value_name = "DIR")]
        tokenizer: Option<PathBuf>,
        /// Write the answer as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
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
    /// Prints what a shell needs to complete commands and options, to be read by it when it starts
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the JSON Schema of a plan, for editors
    Schema {
        /// With the analyzers of a plugin; its folder is then allowed
        #[arg(long, value_name = "FILE")]
        plugin: Vec<PathBuf>,
    },
}
