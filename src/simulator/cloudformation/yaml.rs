//! Reads templates as CloudFormation reads them: JSON, or YAML 1.1 scalars with short tags (`!Ref x`) spelled out into
//! their long forms. Aliases are refused, as CloudFormation does (User Guide, "CloudFormation template formats").

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

/// Templates are nested a dozen levels deep; a crafted one must not exhaust the stack.
const DEPTH_MAX: usize = 64;

/// The tree of a JSON or YAML text; the error is a sentence without prefix.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    reader.document()
}

struct Reader<'text, I: saphyr_parser::Input> {
    parser: Parser<'text, I>,
}

impl<'text, I: saphyr_parser::Input> Reader<'text, I>
where
    Parser<'text, I>: Iterator<Item = Result<(Event<'text>, saphyr_parser::Span), saphyr_parser::ScanError>>,
{
    fn document(&mut self) -> Result<Value, String> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
                event => return self.node(event, 0),
            }
        }
    }

    fn next(&mut self) -> Result<Event<'text>, String> {
        match self.parser.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'text>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let value = if style == ScalarStyle::Plain && tag.is_none() {
                    plain_scalar(&text)
                } else {
                    Value::String(text.into_owned())
                };
                Ok(tagged(tag.as_deref(), value))
            }
            Event::SequenceStart(_, tag) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => {
                            return Ok(tagged(tag.as_deref(), Value::Array(entries)));
                        }
                        event => entries.push(self.node(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, tag) => {
                let mut members = Map::new();
                loop {
                    let name = match self.next()? {
                        Event::MappingEnd => {
                            return Ok(tagged(tag.as_deref(), Value::Object(members)));
                        }
                        Event::Scalar(text, _, _, _) => text.into_owned(),
                        _ => return Err("keys must be text".to_owned()),
                    };
                    let event = self.next()?;
                    members.insert(name, self.node(event, depth + 1)?);
                }
            }
            Event::Alias(_) => Err("YAML aliases are not allowed in CloudFormation templates".to_owned()),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err("unexpected end".to_owned()),
        }
    }
}

/// `!Ref x` is `{"Ref": x}`, `!GetAtt a.b` is `{"Fn::GetAtt": ["a", "b"]}`, `!Other x` is `{"Fn::Other": x}`.
fn tagged(tag: Option<&Tag>, value: Value) -> Value {
    let Some(tag) = tag.filter(|tag| tag.handle == "!") else {
        return value;
    };
    let (name, value) = match (tag.suffix.as_str(), value) {
        (name @ ("Ref" | "Condition"), value) => (name.to_owned(), value),
        ("GetAtt", Value::String(text)) => {
            let (resource, attribute) = text.split_once('.').unwrap_or((&text, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (name, value) => (format!("Fn::{name}"), value),
    };
    Value::Object(Map::from_iter([(name, value)]))
}

/// A scalar without quotes, by the rules of YAML 1.1 (`yes` is true, `010` is eight); dates stay text.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    integer(text).or_else(|| decimal(text)).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn integer(text: &str) -> Option<Value> {
    let (sign, digits) =
        text.strip_prefix('-').map_or((1, text.strip_prefix('+').unwrap_or(text)), |digits| (-1, digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'x') {
        return None;
    }
    let number = if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse::<i64>().ok()?
    };
    Some(Value::from(sign * number))
}

fn decimal(text: &str) -> Option<Value> {
    let looks_numeric = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'))
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.contains('.');
    if !looks_numeric {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spells_out_short_tags() {
        let text =
            "A: !Ref B\nC: !GetAtt D.E.F\nG: !Join [',', [!Sub '${H}', x]]\nI: !If [J, 1, !Ref 'AWS::NoValue']\n";
        assert_eq!(
            parse(text),
            Ok(json!({
                "A": {"Ref": "B"},
                "C": {"Fn::GetAtt": ["D", "E.F"]},
                "G": {"Fn::Join": [",", [{"Fn::Sub": "${H}"}, "x"]]},
                "I": {"Fn::If": ["J", 1, {"Ref": "AWS::NoValue"}]}
            }))
        );
    }

    // YAML 1.1, "Tag Repository": CloudFormation follows this version.
    #[test]
    fn reads_plain_scalars_by_yaml_1_1() {
        let text = "[yes, 'yes', 010, 10, 1.5, 2010-09-09, 10.0.0.0/16, on, -3]";
        assert_eq!(parse(text), Ok(json!([true, "yes", 8, 10, 1.5, "2010-09-09", "10.0.0.0/16", true, -3])));
    }

    #[test]
    fn refuses_aliases_and_endless_nesting() {
        assert!(parse("A: &x 1\nB: *x\n").is_err());
        assert!(parse(&"[".repeat(5000)).is_err());
        assert!(parse("A: [").is_err());
    }
}
