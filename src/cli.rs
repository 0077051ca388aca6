//! What was typed. The doc comments are the help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Brings whole environments on AWS to life, keeps them true, and copies production when it must be studied.
#[derive(Debug, Parser)]
#[command(
    name = "greenroom",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb takes.
    #[command(flatten)]
    pub common: Common,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The project's directory [default: the nearest one upward that holds `environments/`]
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// How results and mistakes are written
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
    /// Whether to use colour; `NO_COLOR` is honoured too
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Say only what is wrong
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say every step, each in a line, on a terminal too
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Use the built-in cloud instead of AWS: no credentials are read, and no call leaves the machine
    #[arg(long, global = true, env = "GREENROOM_LOCAL", value_parser = clap::builder::FalseyValueParser::new())]
    pub local: bool,
    /// The profile in the AWS configuration [default: what the environment offers]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
}

/// How results and mistakes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For programs
    Json,
    /// For test tabs (`check`, `plan`, `drift`)
    Junit,
    /// For code scanning (the same)
    Sarif,
    /// For the log of a GitHub workflow (the same)
    Github,
    /// For a comment on a pull request (the same)
    Markdown,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "clap would show it instead of all that the verb's own struct says")]
pub enum Verb {
    Init(Init),
    Render(Render),
    Check(Check),
    Inputs(Inputs),
    Explain(Explain),
    Diff(Diff),
    Affected(Affected),
    Plan(Plan),
    Deploy(Deploy),
    Status(Status),
    Log(Log),
    Cancel(Cancel),
    Recover(Recover),
    Outputs(Outputs),
    Drift(Drift),
    Clone(Clone),
    Bootstrap(Bootstrap),
    Destroy(Destroy),
    Reap(Reap),
    Permissions(Permissions),
    Graph(Graph),
    Schema(Schema),
    Simulate(Simulate),
    Completions(Completions),
    Man(Man),
}

/// Write a project to start from.
#[derive(Debug, Args)]
pub struct Init {
    /// The directory to make; its name becomes the project's
    pub name: PathBuf,
}

/// Show what CloudFormation would be given.
///
/// One stack goes to stdout, ready to pipe. Several are written below --out, four files a stack.
#[derive(Debug, Args)]
pub struct Render {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stacks [default: all]
    pub stacks: Vec<String>,
    /// Write STACK.yaml, STACK.json, STACK.parameters.json and STACK.tags.json below this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Find everything that can be known to be wrong without asking AWS.
///
/// All mistakes at once, each with its place. Silent where there is none.
#[derive(Debug, Args)]
pub struct Check {
    /// The environments [default: all, and the project around them]
    pub environments: Vec<String>,
}

/// List what may be set in a template.
#[derive(Debug, Args)]
pub struct Inputs {
    /// The template [default: all]
    pub template: Option<String>,
}

/// Tell where a value comes from and where it ends up.
///
/// With a path: the winning place, every layer it overrides, and the template properties it ends up in. Without one: every
/// value of every stack, and its place.
#[derive(Debug, Args)]
pub struct Explain {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// STACK.INPUT, with further keys behind it, or a key of the environment
    pub path: Option<String>,
}

/// Compare two environments, or one with what it was, in meaning.
///
/// Names and accounts are left out. Differences that either file declares are honoured until their date.
///
/// With `--since REV` one environment is compared with what it was where this branch left REV: all that would be sent, names, tags
/// and settings included. If the files of then do not render, it ends with 6.
///
/// With `--live` not the files are compared but what runs: databases with their parameters, groups of instances with their launch
/// templates, load balancers, networks. What cannot be read is reported, and ends with 6.
#[derive(Debug, Args)]
pub struct Diff {
    /// The first environment
    pub environment: String,
    /// The second environment
    #[arg(required_unless_present = "since")]
    pub other: Option<String>,
    /// Compare with what the first was: at a branch, a tag or a commit
    #[arg(long, value_name = "REV", conflicts_with_all = ["other", "live"])]
    pub since: Option<String>,
    /// Compare what runs instead of what the files say
    #[arg(long)]
    pub live: bool,
    /// End with 4 if anything differs that is not declared
    #[arg(long)]
    pub exit_code: bool,
}

/// Tell which stacks of which environments a change of the repository touches.
///
/// Every stack for which something else would be sent than at REV, through whatever it was inherited: template, parameters, tags,
/// name, account, Region, deploy settings. What is compared is the working tree, whether committed or not, with the commit where
/// this branch left REV. AWS is not asked. An environment that stands for many is told of once, by its file's name.
///
/// With `--format json` the matrix of a pipeline, in one line: `{"include": [{"environment": …, "stack": …, …}]}`. Stacks that are
/// gone from the files are not in it: to destroy what runs is a person's decision. With `--by environment` an entry is an environment
/// with its `stacks`.
#[derive(Debug, Args)]
pub struct Affected {
    /// The branch, tag or commit that is compared with: origin/main
    #[arg(long, value_name = "REV")]
    pub since: String,
    /// With --format json: what an entry of the matrix is
    #[arg(long, value_enum, default_value_t = Entry::Stack, value_name = "WHAT", conflicts_with = "details")]
    pub by: Entry,
    /// With --format json: the whole report instead of the matrix, with what is gone
    #[arg(long)]
    pub details: bool,
}

/// What an entry of a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Entry {
    /// A stack of an environment
    Stack,
    /// An environment, with its stacks
    Environment,
}

/// Show what a deployment would do, and change nothing.
///
/// CloudFormation computes the changes; nothing that runs is touched. Stacks that wait for others are shown with what the others
/// have now.
#[derive(Debug, Args)]
pub struct Plan {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stacks [default: all]
    pub stacks: Vec<String>,
    /// End with 4 if anything would change
    #[arg(long)]
    pub exit_code: bool,
    /// Estimate it from the deployed templates and the registry's facts: nothing is created, no change set either
    #[arg(long, conflicts_with = "out")]
    pub read_only: bool,
    /// Seal it: `deploy --plan FILE` does exactly this anywhere, or refuses. No project is needed there, and no secret is in it
    #[arg(long, value_name = "FILE", conflicts_with = "recreate")]
    pub out: Option<PathBuf>,
    /// How long a sealed plan holds: 30m, 8h, 2d
    #[arg(long, value_name = "DURATION", default_value = "24h", requires = "out")]
    pub expires: String,
    /// What may be done beyond the ordinary
    #[command(flatten)]
    pub allow: Allow,
}

/// Bring an environment to what its file says.
///
/// Safe to stop anywhere and to run again. What is running already is waited for.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The environment: production, scratch@jane
    #[arg(required_unless_present = "plan")]
    pub environment: Option<String>,
    /// The stacks [default: all]
    pub stacks: Vec<String>,
    /// Whether to ask first
    #[command(flatten)]
    pub agreement: Agreement,
    /// Do exactly what was sealed by `plan --out FILE`, or refuse: a plan that was approved needs no further question
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["stacks", "prune", "allow_replacement", "take_over", "recreate", "retry", "confirm"]
    )]
    pub plan: Option<PathBuf>,
    /// Delete stacks that are gone from the file
    #[arg(long)]
    pub prune: bool,
    /// What may be done beyond the ordinary
    #[command(flatten)]
    pub allow: Allow,
}

/// Make the buckets that large templates and packages go through.
///
/// Those that `deploy.template_bucket` and `deploy.package_bucket` name, each a stack of its own that all environments of the
/// account share. A bucket that somebody else has made is used as it is. Safe to stop anywhere and to run again.
#[derive(Debug, Args)]
pub struct Bootstrap {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// Whether to ask first
    #[command(flatten)]
    pub agreement: Agreement,
    /// What may be done beyond the ordinary
    #[command(flatten)]
    pub allow: Allow,
}

/// Whether to ask first.
#[derive(Clone, Debug, Default, Args)]
pub struct Agreement {
    /// Do not ask; a protected environment wants --confirm instead
    #[arg(long, short)]
    pub yes: bool,
    /// Do not ask: the environment's name, typed on purpose
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What may be done beyond the ordinary.
#[derive(Clone, Debug, Default, Args)]
pub struct Allow {
    /// Let a resource be replaced or removed though it holds data
    #[arg(long, value_name = "STACK/RESOURCE")]
    pub allow_replacement: Vec<String>,
    /// Write over what was changed by hand, in an environment that is protected
    #[arg(long, value_name = "STACK/RESOURCE")]
    pub overwrite_drift: Vec<String>,
    /// Take over a stack that exists and bears no marks
    #[arg(long, value_name = "STACK")]
    pub take_over: Vec<String>,
    /// Delete what is left of a failed creation and create the stack anew
    #[arg(long, value_name = "STACK")]
    pub recreate: Vec<String>,
    /// Try a change again that failed before in just this shape
    #[arg(long)]
    pub retry: bool,
}

/// Show the stacks of environments as they are.
///
/// With --watch it looks again and again until it is interrupted, which ends it with 130: on a terminal the picture is redrawn,
/// anywhere else every change is a line.
#[derive(Debug, Args)]
pub struct Status {
    /// The environments [default: all that stand for one]
    pub environments: Vec<String>,
    /// Look again and again
    #[arg(long, short)]
    pub watch: bool,
    /// Watch, and end once nothing is under way
    #[arg(long)]
    pub until_rest: bool,
}

/// Tell what happened: operations, first causes, what took how long.
///
/// An operation is all that followed from one call, its rollback included; 1 is the newest. Of a stack by itself, or with
/// --operation, the timeline is drawn, and the chain of resources marked that determined how long it took. Stacks that are gone
/// are told of for 90 days.
#[derive(Debug, Args)]
pub struct Log {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stack [default: all]
    pub stack: Option<String>,
    /// Draw the timeline of this operation [default: of a stack by itself, the newest]
    #[arg(long, value_name = "N")]
    pub operation: Option<std::num::NonZeroUsize>,
    /// Only operations that began no longer ago than this: 24h
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
}

/// Stop updates that are in progress.
///
/// CloudFormation rolls them back; that is waited for. What cannot be stopped is named, with what to do instead. Safe to stop
/// anywhere and to run again.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stacks [default: all]
    pub stacks: Vec<String>,
    /// Whether to ask first
    #[command(flatten)]
    pub agreement: Agreement,
}

/// Free stacks that are stuck.
///
/// Says of each what is stuck, and why, and the ways out, the least harmful first, each with its exact calls and with what it loses.
/// Goes the way that is chosen, and looks again. Nothing is ever deleted or skipped that was not named. Safe to stop anywhere and to
/// run again.
#[derive(Debug, Args)]
pub struct Recover {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stacks [default: all that are stuck]
    pub stacks: Vec<String>,
    /// The way out by its number, STACK=N where several stacks are stuck [default: asked on a terminal]
    #[arg(long, value_name = "N")]
    pub choose: Vec<String>,
    /// Whether to ask first
    #[command(flatten)]
    pub agreement: Agreement,
}

/// Print the outputs of an environment's stacks, for scripts.
///
/// With STACK.OUTPUT, its value alone.
#[derive(Debug, Args)]
pub struct Outputs {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// STACK.OUTPUT
    pub key: Option<String>,
}

/// Find what was changed past CloudFormation, and decide about it.
///
/// Every difference with the line that decides it. Ends with 4 if somebody has to decide about one, with 6 if something could not
/// be read: neither the summary of a stack nor silence is taken for "all is well". What AWS changes by itself, what is the same in
/// other words, and what the environment's file ignores is told, and wakes nobody.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("decision").args(["adopt", "revert", "ignore"])))]
pub struct Drift {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The stacks [default: all]
    pub stacks: Vec<String>,
    /// Say who changed it, when, and by which call, as far as CloudTrail tells
    #[arg(long, conflicts_with_all = ["adopt", "revert", "ignore"])]
    pub who: bool,
    /// Write what is into the environment's file [default: all that was changed by hand]
    #[arg(long, value_name = "STACK/RESOURCE/PROPERTY", num_args = 0..)]
    pub adopt: Option<Vec<String>>,
    /// With --adopt: write the old value into the files of environments that inherit this one, so that they stay as they are
    #[arg(long, requires = "adopt")]
    pub pin_others: bool,
    /// Undo what was changed, through a change set [default: all that was changed by hand]
    #[arg(long, value_name = "STACK/RESOURCE", num_args = 0..)]
    pub revert: Option<Vec<String>>,
    /// Let a difference be, by a line in the environment's file
    #[arg(
        long,
        value_name = "STACK/RESOURCE[/PROPERTY]",
        requires = "until",
        requires = "because",
        conflicts_with = "stacks"
    )]
    pub ignore: Option<String>,
    /// With --ignore: the last day on which it holds, 2027-06-30
    #[arg(long, value_name = "DATE", requires = "ignore")]
    pub until: Option<String>,
    /// With --ignore: why, for whoever reads it in a year
    #[arg(long, value_name = "TEXT", requires = "ignore")]
    pub because: Option<String>,
    /// Whether to ask first
    #[command(flatten)]
    pub agreement: Agreement,
}

/// Make an environment another's twin, on the other's data.
///
/// The target's database is made from a snapshot of the source's, behind closed doors, looked at property by property, and opened
/// to its clients at the end. Nothing of the source is changed; only `--snapshot fresh` asks anything of its database. Safe to stop
/// anywhere and to run again; a finished clone is left alone. `destroy` takes the copies of the snapshot with it.
///
/// What it uses in a day is said before anything is made; in money, where a file `prices.yaml` stands beside `environments/`:
/// `{currency: USD, database_hour: {db.r7g.xlarge: 0.55}, storage_gib_month: {gp3: 0.13}, iops_month: {gp3: 0.02},
/// throughput_mibps_month: {gp3: 0.09}, snapshot_gib_month: 0.095, instance_hour: {m7g.xlarge: 0.2}}`, all of the Region that the
/// clone lives in. `clone: {max_cost: 40}` in the target's file then refuses what costs more in a day.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Clone {
    /// The environment whose data it is: production
    pub source: String,
    /// The environment that is made: performance
    pub target: String,
    /// `newest` (of those that RDS takes by itself), `fresh` (one taken now), or a snapshot of the source by its id
    /// [default: what the target's file says]
    #[arg(long, value_name = "WHICH")]
    pub snapshot: Option<String>,
    /// The oldest that the data may be when it is restored: 24h [default: what the target's file says]
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Show the steps, the waits, what it uses and the policies it needs, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write evidence of what was made of what, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub report: Option<PathBuf>,
    /// Delete what is left of a failed creation and create the stack anew
    #[arg(long, value_name = "STACK")]
    pub recreate: Vec<String>,
    /// Where SOURCE's database is not what its file says: write what it is into TARGET's file, and go on
    #[arg(long)]
    pub from_live: bool,
    /// Where TARGET has no file: write one that inherits SOURCE and says what must differ and why, to be read first
    #[arg(long)]
    pub write_target: bool,
}

/// Delete an environment and all that is in it.
///
/// Shows first what is lost, and what stays. A bucket whose template says `DeletionPolicy: Delete` is emptied, versions included; any
/// other that is not empty keeps its stack. Safe to stop anywhere and to run again. A protected environment is refused.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The environment: scratch@jane
    pub environment: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would be deleted, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write evidence of what existed and what became of it, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub report: Option<PathBuf>,
    /// Empty a bucket, though its template does not say that it goes
    #[arg(long, value_name = "STACK/RESOURCE")]
    pub empty_bucket: Vec<String>,
    /// Leave a resource behind, if it keeps its stack from being deleted
    #[arg(long, value_name = "STACK/RESOURCE")]
    pub retain: Vec<String>,
}

/// Delete environments whose lifetime is over.
///
/// Those of this project, found by their marks in every account and Region that an environment file names, also where their own file
/// is gone. A lifetime is counted from the creation of the oldest stack; a deployment does not extend it, `--extend` does. An account
/// that could not be looked at is named, and ends the run with 6. Protected environments stay. Safe to stop anywhere and to run again.
#[derive(Debug, Args)]
pub struct Reap {
    /// Let an environment live until at least so long from now, and delete nothing: scratch@jane 24h
    #[arg(long, num_args = 2, value_names = ["ENV", "DURATION"], conflicts_with = "report")]
    pub extend: Option<Vec<String>>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write evidence of what existed and what became of it, as JSON, a file for each environment
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    pub report: Option<PathBuf>,
}

/// Print the least IAM policies that a verb needs.
///
/// By account: what the caller may do, what CloudFormation's own role may do (by what the registry says of each type), and with
/// `--trust` who may be the caller. AWS is not asked. Actions that no resource can be named for are allowed on all.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Permissions {
    /// What is to be done; for `clone` to the environment that is made
    #[arg(value_enum)]
    pub purpose: Purpose,
    /// The environment: production, scratch@jane
    pub environment: String,
    /// Of `plan`: only what `--read-only` needs
    #[arg(long)]
    pub read_only: bool,
    /// Of `drift`: what `--revert` needs, too
    #[arg(long)]
    pub revert: bool,
    /// Of `drift`: what `--who` needs, too
    #[arg(long)]
    pub who: bool,
    /// Let a pipeline be the caller: github:ORG/REPO, for its GitHub environment of the same name
    #[arg(long, value_name = "github:ORG/REPO")]
    pub trust: Option<String>,
    /// For what runs on this branch instead
    #[arg(long, value_name = "BRANCH", requires = "trust", conflicts_with_all = ["github_environment", "pull_requests"])]
    pub branch: Option<String>,
    /// For what runs for this GitHub environment instead
    #[arg(long, value_name = "NAME", requires = "trust", conflicts_with = "pull_requests")]
    pub github_environment: Option<String>,
    /// For pull requests instead; only for what changes nothing
    #[arg(long, requires = "trust")]
    pub pull_requests: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Show what a deployment would do
    Plan,
    /// Bring an environment to what its file says
    Deploy,
    /// Show stacks as they are
    Status,
    /// Print outputs
    Outputs,
    /// Delete an environment
    Destroy,
    /// Delete environments whose lifetime is over
    Reap,
    /// Compare what runs
    Diff,
    /// Make an environment another's twin
    Clone,
    /// Find what was changed past CloudFormation
    Drift,
    /// Free stacks that are stuck
    Recover,
    /// Stop updates that are in progress
    Cancel,
    /// Tell what happened
    Log,
    /// Make the buckets
    Bootstrap,
}

/// Draw the stacks and what flows between them.
#[derive(Debug, Args)]
pub struct Graph {
    /// The environment: production, scratch@jane
    pub environment: String,
    /// The language of the drawing
    #[arg(long = "as", value_enum, default_value_t = Drawing::Mermaid, value_name = "LANGUAGE")]
    pub drawing: Drawing,
}

/// The language of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

/// Print the JSON Schema of environment files, for editors.
#[derive(Debug, Args)]
pub struct Schema {
    /// Write it to environments/.schema.json, where `check` keeps an eye on it
    #[arg(long)]
    pub write: bool,
}

/// Print the completions of a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Print the manual page.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each verb below this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Run the local cloud as a server: AWS's own protocols on 127.0.0.1, for rehearsals without an account.
///
/// `--local` starts it by itself; this is for other people's clients: `AWS_ENDPOINT_URL=http://127.0.0.1:PORT aws …`
#[derive(Debug, Args)]
pub struct Simulate {
    /// Where it listens on 127.0.0.1 [default: wherever there is room]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// How its time runs: so many times as fast as ours, `auto` (a read of something unfinished jumps to its end) or `manual`
    #[arg(long, default_value = "60", value_parser = pace, value_name = "PACE")]
    pub pace: Pace,
    /// Where its identifiers come from: the same seed and requests give the same answers
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How many entries a page of any list holds
    #[arg(long, value_name = "ENTRIES")]
    pub page_size: Option<std::num::NonZeroUsize>,
    /// What goes wrong on purpose, a YAML list of rules: throttled calls, lost answers, resources that fail
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// End after so many seconds without a request [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub idle: Option<u64>,
}

/// How the local cloud's time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many times as fast as ours.
    Factor(u32),
    /// Only when it is told to.
    Manual,
    /// By leaps.
    Auto,
}

fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "manual" => Ok(Pace::Manual),
        "auto" => Ok(Pace::Auto),
        factor => match factor.parse() {
            Ok(factor) if factor > 0 => Ok(Pace::Factor(factor)),
            _ => Err("a whole number above 0, `auto` or `manual` expected".to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_of_a_verb_is_all_that_is_written_of_it() {
        let told = |verb: &str| {
            let command = Cli::command();
            command
                .find_subcommand(verb)
                .and_then(|it| it.get_long_about())
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        assert_eq!(
            told("check"),
            "Find everything that can be known to be wrong without asking AWS.\n\n\
             All mistakes at once, each with its place. Silent where there is none."
        );
        // What hints send people there for.
        assert!(told("clone").contains("`{currency: USD, database_hour: {db.r7g.xlarge: 0.55}"), "{}", told("clone"));
    }
}
