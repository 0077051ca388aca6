//! Serves the local cloud by hand until `greenroom simulate` does: prints its URL and runs until Ctrl-C.
//!
//! `cargo run --example simulate -- [--port N] [--state FILE] [--pace manual|auto|FACTOR] [--page-size N] [--seed N]`

use greenroom::simulator::{Pace, Settings, serve};
use std::error::Error;
use std::io::Write;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} wants a value"))?;
        match name.as_str() {
            "--port" => settings.port = value.parse()?,
            "--state" => settings.state_file = Some(value.into()),
            "--pace" => settings.pace = pace(&value)?,
            "--page-size" => settings.rules.page_size = value.parse()?,
            "--seed" => settings.seed = value.parse()?,
            _ => return Err(format!("{name} is not known").into()),
        }
    }
    let running = serve(settings).await?;
    let mut output = std::io::stdout();
    writeln!(output, "{}", running.url())?;
    output.flush()?;
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

fn pace(text: &str) -> Result<Pace, Box<dyn Error>> {
    Ok(match text {
        "manual" => Pace::Manual,
        "auto" => Pace::Auto,
        factor => Pace::Scaled(factor.parse()?),
    })
}
