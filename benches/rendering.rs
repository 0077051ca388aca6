//! Where the time of rendering goes, piece by piece, in one process. `benches/against-sceptre` measures the whole from outside.
//!
//! `cargo bench --bench rendering` runs everything; `cargo bench --bench rendering -- render` what has that word in its name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use greenroom::check::check;
use greenroom::environment::project::load;
use greenroom::environment::resolve::resolve;
use greenroom::environment::{Environment, Project, SourceId, Stack, yaml};
use greenroom::template::rules;
use greenroom::template::{Rendered, Templates};
use jiff::civil::{Date, date};

/// The day on which exceptions are judged: fixed, so that a figure of next year is still about the same work.
const TODAY: Date = date(2026, 11, 2);

/// How many stacks the large project has, as in `benches/against-sceptre`.
const STACKS_OF_LARGE: usize = 1000;

/// The templates of the large project, in the order in which its stacks take turns.
const KINDS: [&str; 5] = ["access", "alarms", "logs", "parameters", "queues"];

criterion_group!(benches, reading, shipped_stacks, shipped_check, large_project);
criterion_main!(benches);

/// From the files to an environment and its templates.
fn reading(criterion: &mut Criterion) {
    let root = shipped();
    let mut group = criterion.benchmark_group("production");
    group.bench_function("read the files", |bencher| bencher.iter(|| project(black_box(&root))));
    let project = project(&root);
    group.bench_function("resolve", |bencher| bencher.iter(|| environment(black_box(&project), "production")));
    let environment = environment(&project, "production");
    group.bench_function("load the templates", |bencher| {
        bencher.iter_batched(
            || project.clone(),
            |mut project| templates(&mut project, &environment),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Every stack that is shipped, as production has it.
fn shipped_stacks(criterion: &mut Criterion) {
    let scene = Scene::of(&shipped(), "production");
    for stack in &scene.environment.stacks {
        let rendered = scene.render(stack);
        let arguments = scene.templates.arguments(&scene.environment, stack).expect("good arguments");
        let sources = &scene.project.sources;
        let mut group = criterion.benchmark_group(format!("stack {}", stack.name));
        group.bench_function("render", |bencher| bencher.iter(|| scene.render(black_box(stack))));
        group.bench_function("render and write as YAML and JSON", |bencher| {
            bencher.iter(|| {
                let rendered = scene.render(black_box(stack));
                (rendered.yaml.clone(), format!("{:#}", rendered.document.json))
            });
        });
        group.bench_function("read its YAML", |bencher| {
            bencher.iter(|| yaml::read(SourceId::RENDERED, black_box(&rendered.yaml)));
        });
        group.bench_function("check what was rendered", |bencher| {
            bencher.iter(|| scene.templates.check(black_box(&rendered), stack, &arguments, sources));
        });
        group.bench_function("check its rules alone", |bencher| {
            bencher.iter(|| rules::check(black_box(&rendered.document)));
        });
        group.finish();
    }
}

/// `greenroom check`, without the process around it.
fn shipped_check(criterion: &mut Criterion) {
    let root = shipped();
    criterion.bench_function("check everything shipped", |bencher| {
        bencher.iter(|| check(&mut project(black_box(&root)), TODAY));
    });
}

/// A thousand stacks of twenty resources.
fn large_project(criterion: &mut Criterion) {
    let directory = Directory::new();
    write_large(&directory.path);
    let mut group = criterion.benchmark_group("1,000 stacks");
    group.sample_size(10);
    group.bench_function("read the files", |bencher| bencher.iter(|| project(black_box(&directory.path))));
    let scene = Scene::of(&directory.path, "large");
    group.bench_function("resolve", |bencher| bencher.iter(|| environment(black_box(&scene.project), "large")));
    group.bench_function("render on one core", |bencher| {
        bencher.iter(|| scene.environment.stacks.iter().map(|stack| scene.render(stack)).collect::<Vec<_>>());
    });
    group.bench_function("check", |bencher| bencher.iter(|| check(&mut project(&directory.path), TODAY)));
    group.finish();
}

/// An environment and its templates, without a mistake.
struct Scene {
    project: Project,
    environment: Environment,
    templates: Templates,
}

impl Scene {
    fn of(root: &Path, name: &str) -> Self {
        let mut project = project(root);
        let environment = environment(&project, name);
        let templates = templates(&mut project, &environment);
        Self { project, environment, templates }
    }

    fn render(&self, stack: &Stack) -> Rendered {
        self.templates.render(&self.environment, stack, &self.project.sources).expect("a stack without a mistake")
    }
}

fn shipped() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn project(root: &Path) -> Project {
    load(root).expect("a project")
}

fn environment(project: &Project, name: &str) -> Environment {
    let resolution = resolve(project, &name.parse().expect("a name"));
    assert_eq!(resolution.mistakes, []);
    resolution.environment.expect("an environment")
}

fn templates(project: &mut Project, environment: &Environment) -> Templates {
    let wanted: BTreeSet<String> = environment.stacks.iter().map(|stack| stack.template.value.clone()).collect();
    Templates::load(project, &wanted)
}

/// Writes the project that `benches/against-sceptre` makes, for greenroom.
fn write_large(root: &Path) {
    let kept = shipped().join("benches/project");
    let mut values = Vec::new();
    for kind in KINDS {
        let folder = root.join("templates").join(kind);
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["stack.yaml", "inputs.yaml"] {
            fs::copy(kept.join(kind).join(file), folder.join(file)).expect("a copy");
        }
        values.push((kind, fs::read_to_string(kept.join(kind).join("values.yaml")).expect("values")));
    }
    let mut text = String::from("project: shop\nregion: ap-southeast-2\naccount: '111111111111'\nstacks:\n");
    for (number, (kind, values)) in (1..=STACKS_OF_LARGE).zip(values.iter().cycle()) {
        let values = values.replace("NUMBER", &number.to_string());
        write!(text, "  {kind}-{number}:\n    template: {kind}\n    values:\n").expect("writing to memory");
        values.lines().for_each(|line| writeln!(text, "      {line}").expect("writing to memory"));
    }
    fs::create_dir_all(root.join("environments")).expect("a folder");
    fs::write(root.join("environments/large.yaml"), text).expect("an environment");
}

/// A directory that goes when it is no longer needed.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("greenroom-bench-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Self { path }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind is in the system's temporary directory and harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}
