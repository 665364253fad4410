//! Runs a case's inputs through our plugins.

use serde_json::{Value as Json, json};

use ferroconnect::config::Props;
use ferroconnect::converter::{Converter, HeaderConverter, Presence, Role};
use ferroconnect::data::schema_projector::project;
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use ferroconnect::transform::Keep;

use super::{form, planned};

/// What one input becomes.
pub(super) type Step = Box<dyn FnMut(&Json) -> Json>;

fn failed(text: impl Into<String>) -> Json {
    json!({ "error": text.into() })
}

/// The class of a case, configured; the text of the refusal otherwise.
pub(super) fn step(plugins: &Plugins, line: &Json) -> Result<Step, String> {
    let kind = match line["kind"].as_str().unwrap() {
        "project" => return Ok(Box::new(projected)),
        "transform" => PluginKind::Transformation,
        "predicate" => PluginKind::Predicate,
        "write" | "read" => PluginKind::Converter,
        _ => PluginKind::HeaderConverter,
    };
    let class = line["class"].as_str().unwrap();
    let plugin =
        plugins.find(&[kind], class).ok_or_else(|| format!("{class} is no plugin of ours"))?;
    let mut props: Props = line["config"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    if kind == PluginKind::HeaderConverter {
        props.insert("converter.type".to_owned(), "header".to_owned());
    }
    let refusal = |error: ferroconnect::error::ConnectError| error.trace();
    let writes = line["kind"].as_str().unwrap().ends_with("write");
    Ok(match plugin.constructor {
        Constructor::Transformation(construct) => {
            let mut transform = construct(&props).map_err(refusal)?;
            let mut converters =
                [json_converter(plugins, "true"), json_converter(plugins, "false")];
            Box::new(move |input| {
                let given = form::record(input);
                let mut record = given.clone();
                let applied = transform.apply(&mut record);
                let outcome = applied.as_ref().ok().map(|keep| (*keep, &record));
                planned::agrees(transform.as_ref(), &given, outcome, &mut converters);
                match applied {
                    Ok(Keep::Record) => form::of_record(&record),
                    Ok(Keep::Drop) => json!("dropped"),
                    Err(error) => failed(error.trace()),
                }
            })
        }
        Constructor::Predicate(construct) => {
            let predicate = construct(&props).map_err(refusal)?;
            Box::new(move |input| json!(predicate.test(&form::record(input))))
        }
        Constructor::Converter(construct) => {
            let role = if line["key"] == Json::Bool(true) { Role::Key } else { Role::Value };
            let mut converter = construct(&props, &role.into()).map_err(refusal)?;
            Box::new(move |input| match writes {
                true => written(converter.as_mut(), input),
                false => read(converter.as_mut(), input),
            })
        }
        Constructor::HeaderConverter(construct) => {
            let mut converter = construct(&props).map_err(refusal)?;
            Box::new(move |input| match writes {
                true => header_written(converter.as_mut(), input),
                false => header_read(converter.as_mut(), input),
            })
        }
        _ => unreachable!("the kinds above have these constructors"),
    })
}

fn json_converter(plugins: &Plugins, schemas: &str) -> Box<dyn Converter> {
    let class = "org.apache.kafka.connect.json.JsonConverter";
    let plugin = plugins.find(&[PluginKind::Converter], class).expect("a converter of ours");
    let Constructor::Converter(construct) = plugin.constructor else { panic!("a converter") };
    let props = Props::from([("schemas.enable".to_owned(), schemas.to_owned())]);
    construct(&props, &Role::Value.into()).expect("good settings")
}

fn projected(input: &Json) -> Json {
    let (source, target) = (form::schema(&input["source"]), form::schema(&input["target"]));
    let (source, target) = (source.unwrap(), target.unwrap());
    let value = form::value(Some(&source), &input["value"]);
    match project(&source, &value, &target) {
        Ok(value) => form::of_value(Some(&target), &value),
        Err(error) => failed(error.to_string()),
    }
}

fn presence<E: ToString>(written: Result<Presence, E>, out: &[u8]) -> Json {
    match written {
        Ok(Presence::Present) => form::of_bytes(out),
        Ok(Presence::Null) => Json::Null,
        Err(error) => failed(error.to_string()),
    }
}

fn written(converter: &mut dyn Converter, input: &Json) -> Json {
    let mut out = Vec::new();
    let headers = form::headers(&input["headers"]);
    let written = converter.from_record("t", &headers, &form::data(input), &mut out);
    presence(written, &out)
}

fn header_written(converter: &mut dyn HeaderConverter, input: &Json) -> Json {
    let mut out = Vec::new();
    let written = converter.from_connect_header("t", "h", &form::data(input), &mut out);
    presence(written, &out)
}

fn read(converter: &mut dyn Converter, input: &Json) -> Json {
    match converter.to_connect_data("t", form::bytes(input).as_deref()) {
        Ok(data) => form::of_data(&data),
        Err(error) => failed(error.to_string()),
    }
}

fn header_read(converter: &mut dyn HeaderConverter, input: &Json) -> Json {
    match converter.to_connect_header("t", "h", form::bytes(input).as_deref()) {
        Ok(data) => form::of_data(&data),
        Err(error) => failed(error.to_string()),
    }
}
