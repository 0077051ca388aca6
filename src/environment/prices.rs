//! `prices.yaml`: what things cost, as its owner has agreed with AWS.
//!
//! The file stands beside `environments/`, and nobody must keep one: prices depend on contracts, currencies and Regions, and a list
//! that came with the tool would be wrong on the day it was shipped. All prices are of one Region, the one that clones live in.

use std::collections::BTreeMap;

use crate::environment::project::Project;
use crate::environment::shape::ShapeFault;
use crate::environment::source::{read_file, shown};
use crate::environment::{Mistake, Node, shape, yaml};

/// Its name, in the directory of the project.
pub const PRICES_FILE: &str = "prices.yaml";

/// What things cost, in one currency. What is not in it has no price that we know, which is not a price of nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// What it is called: `USD`.
    pub currency: String,
    /// By section and name: `database_hour`, `db.r7g.xlarge`. A section without names has one price, under the empty name.
    pub all: BTreeMap<(&'static str, String), f64>,
}

impl Prices {
    /// The price of one unit.
    pub fn of(&self, section: &str, name: &str) -> Option<f64> {
        let mut found = self.all.iter().filter(|((key, known), _)| *key == section && known == name);
        found.next().map(|(_, price)| *price)
    }
}

/// Reads the prices of a project, if it has some.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn prices(project: &mut Project) -> Result<Option<Prices>, Vec<Mistake>> {
    let path = project.root.join(PRICES_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let path_shown = shown(&project.root, &path);
    let text = read_file(&project.root, &path).map_err(|because| {
        let fault = super::project::ProjectFault::Unreadable { path: path_shown.clone(), because };
        vec![Mistake::new(&fault)]
    })?;
    let source = project.sources.add(path_shown, text.clone());
    let reading = yaml::read(source, &text);
    let mut mistakes = reading.mistakes;
    let root = reading.root.unwrap_or_else(|| Node::empty_mapping(super::Span::beginning(source)));
    let root = if root.is_null() { Node::empty_mapping(root.span) } else { root };
    shape::check_prices(&root, &mut mistakes);
    if root.as_mapping().is_some() && root.get("currency").is_none() {
        let missing = Mistake::at(super::Span::beginning(source), &ShapeFault::NoCurrency);
        mistakes.push(missing.hint("its first line: `currency: USD`"));
    }
    if mistakes.is_empty() { Ok(Some(read(&root))) } else { Err(mistakes) }
}

fn read(root: &Node) -> Prices {
    let mut prices = Prices::default();
    let number = |node: &Node| node.as_text().and_then(|text| text.parse().ok());
    for key in shape::PRICES {
        let Some(node) = root.get(key.name) else { continue };
        match node.as_mapping() {
            Some(entries) => prices.all.extend(
                entries.iter().filter_map(|entry| Some(((key.name, entry.key.clone()), number(&entry.value)?))),
            ),
            None if key.name == "currency" => node.as_text().unwrap_or_default().clone_into(&mut prices.currency),
            None => prices.all.extend(number(node).map(|price| ((key.name, String::new()), price))),
        }
    }
    prices
}
