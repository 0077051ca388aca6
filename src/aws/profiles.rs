//! The profiles in the user's AWS configuration that belong to an account.
//!
//! Only the account's id is looked for. How a profile gets its credentials is the SDK's business, and nothing secret is read here.

use std::path::PathBuf;

/// The names of the profiles that say an account's id, in the order of the file. None where there is no such file.
pub fn of_account(account: &str) -> Vec<String> {
    let text = path().and_then(|path| std::fs::read_to_string(path).ok());
    text.map(|text| in_text(&text, account)).unwrap_or_default()
}

/// Where the SDK reads it, too (AWS SDKs and Tools Reference Guide, "Location of the shared config and credentials files").
fn path() -> Option<PathBuf> {
    let said = std::env::var_os("AWS_CONFIG_FILE").map(PathBuf::from);
    said.or_else(|| Some(std::env::home_dir()?.join(".aws/config")))
}

fn in_text(text: &str, account: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut profile = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            profile = name(section);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if let Some(name) = &profile
            && is_of(key.trim(), value.trim(), account)
            && !found.contains(name)
        {
            found.push(name.clone());
        }
    }
    found
}

/// `[default]` and `[profile NAME]`; all other sections are no profiles.
fn name(section: &str) -> Option<String> {
    let section = section.trim();
    if section == "default" {
        return Some(section.to_owned());
    }
    section.strip_prefix("profile ").map(|name| name.trim().trim_matches('"').to_owned())
}

fn is_of(key: &str, value: &str, account: &str) -> bool {
    match key {
        "sso_account_id" => value == account,
        "role_arn" => value.split(':').nth(4) == Some(account),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
[default]
region = eu-west-1
[profile staging]
sso_session = work
sso_account_id = 210987654321
[sso-session work]
sso_account_id = 210987654321
# sso_account_id = 1
[profile \"staging-admin\"]
role_arn = arn:aws:iam::210987654321:role/admin
[profile production]
sso_account_id=310987654321
";

    #[test]
    fn profiles_are_found_by_their_account() {
        assert_eq!(in_text(CONFIG, "210987654321"), ["staging", "staging-admin"]);
        assert_eq!(in_text(CONFIG, "310987654321"), ["production"]);
        assert_eq!(in_text(CONFIG, "410987654321"), [""; 0]);
    }
}
