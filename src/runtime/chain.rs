//! The transformation chain of a connector: `transforms` with their `predicates`.
//!
//! A chain works on whole shapes first ([`Chain::plan`], once per shape) and on single records where
//! a shape cannot tell ([`Chain::apply`]). Semantics: Kafka Connect, `TransformationStage`: a stage
//! without a predicate always runs, one with a predicate when `negate` XOR its verdict; the chain
//! ends at the first drop.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, ConfigType, Parsed, Props, with_prefix};
use crate::data::{Record, RowPlan};
use crate::error::ConnectError;
use crate::plugin::{Constructor, Plugin, PluginKind, Plugins};
use crate::transform::{Keep, Planned, Predicate, Transformation};

/// More shapes than the tables of one connector have at a time; past it the cache starts anew, which
/// costs one planning per shape.
const PLANS_MAX: usize = 4096;

/// A connector's transforms, in order.
pub struct Chain {
    stages: Vec<Stage>,
    /// Results by the input's address. The input is kept too, so that its address stays taken.
    plans: HashMap<usize, (Arc<RowPlan>, Planned)>,
    failed: Option<Arc<str>>,
}

struct Stage {
    alias: String,
    class: Arc<str>,
    transformation: Box<dyn Transformation>,
    condition: Option<Condition>,
}

struct Condition {
    predicate: Box<dyn Predicate>,
    negate: bool,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aliases = self.stages.iter().map(|stage| stage.alias.as_str());
        f.debug_list().entries(aliases).finish()
    }
}

impl Chain {
    /// The chain that a connector's configuration describes.
    ///
    /// # Errors
    /// When an alias has no class, its class is no plugin, or the plugin refuses its configuration.
    pub fn build(plugins: &Plugins, config: &Props) -> Result<Self, ConnectError> {
        let lists = lists().parse(config)?;
        let predicates = aliases(&lists, "predicates")?;
        let stages = aliases(&lists, "transforms")?
            .into_iter()
            .map(|alias| Stage::build(plugins, config, &predicates, alias))
            .collect::<Result<_, _>>()?;
        Ok(Self { stages, plans: HashMap::new(), failed: None })
    }

    /// Whether there are no transforms.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// What the chain makes of all rows of a shape. The answer's pointer is the same for the same
    /// input pointer.
    pub fn plan(&mut self, input: &Arc<RowPlan>) -> Planned {
        if self.is_empty() {
            return Planned::Plan(input.clone());
        }
        let address = Arc::as_ptr(input) as usize;
        if let Some((_, planned)) = self.plans.get(&address) {
            return planned.clone();
        }
        let planned = self.plan_anew(input);
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        self.plans.insert(address, (input.clone(), planned.clone()));
        planned
    }

    fn plan_anew(&self, input: &Arc<RowPlan>) -> Planned {
        let mut plan = input.clone();
        for stage in &self.stages {
            match stage.runs_on_shape(&plan) {
                None => return Planned::PerRecord,
                Some(false) => continue,
                Some(true) => {}
            }
            match stage.transformation.plan(&plan) {
                Planned::Plan(next) => plan = next,
                ended => return ended,
            }
        }
        Planned::Plan(plan)
    }

    /// Takes one record through the chain.
    ///
    /// # Errors
    /// When a transform cannot process the record; stages before it have changed the record.
    pub fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        for stage in &mut self.stages {
            let failed = &mut self.failed;
            if !stage.runs_on(record) {
                continue;
            }
            let keep = stage.transformation.apply(record).map_err(|error| {
                let alias = &stage.alias;
                *failed = Some(Arc::clone(&stage.class));
                ConnectError::data(format!("transform \"{alias}\" cannot process the record"))
                    .because(error)
            })?;
            if keep == Keep::Drop {
                return Ok(Keep::Drop);
            }
        }
        Ok(Keep::Record)
    }
}

impl Chain {
    /// The class of the transform that failed last.
    pub fn failed_class(&self) -> Option<Arc<str>> {
        self.failed.clone()
    }
}

impl Stage {
    fn build(
        plugins: &Plugins,
        config: &Props,
        predicates: &[String],
        alias: String,
    ) -> Result<Self, ConnectError> {
        let prefix = format!("transforms.{alias}.");
        let own = with_prefix(config, &prefix);
        let plugin = plugin(plugins, PluginKind::Transformation, &prefix, &own)?;
        let Constructor::Transformation(construct) = plugin.constructor else {
            return Err(ConnectError::config(format!("{prefix}type is no transformation")));
        };
        let condition = condition(plugins, config, predicates, &prefix, &own)?;
        let transformation = construct(&own).map_err(|error| in_alias(&prefix, error))?;
        let class = own.get("type").map_or(plugin.class, |class| class.trim()).into();
        Ok(Self { alias, class, transformation, condition })
    }

    fn runs_on(&self, record: &Record) -> bool {
        self.condition
            .as_ref()
            .is_none_or(|condition| condition.negate != condition.predicate.test(record))
    }

    /// `None`: it depends on the row.
    fn runs_on_shape(&self, plan: &RowPlan) -> Option<bool> {
        match &self.condition {
            None => Some(true),
            Some(condition) => Some(condition.negate != condition.predicate.plan(plan)?),
        }
    }
}

fn condition(
    plugins: &Plugins,
    config: &Props,
    predicates: &[String],
    prefix: &str,
    own: &Props,
) -> Result<Option<Condition>, ConnectError> {
    let parsed = stage_keys().parse(own).map_err(|error| in_alias(prefix, error))?;
    let Some(alias) = parsed.optional_string("predicate") else {
        if own.contains_key("negate") {
            return Err(ConnectError::config(format!(
                "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' \
                 defining a predicate to be negated."
            )));
        }
        return Ok(None);
    };
    if !predicates.contains(&alias) {
        return Err(ConnectError::config(format!(
            "Invalid value {alias} for configuration {prefix}predicate: \"{alias}\" is not listed in \
             \"predicates\""
        )));
    }
    let prefix = format!("predicates.{alias}.");
    let own = with_prefix(config, &prefix);
    let plugin = plugin(plugins, PluginKind::Predicate, &prefix, &own)?;
    let Constructor::Predicate(construct) = plugin.constructor else {
        return Err(ConnectError::config(format!("{prefix}type is no predicate")));
    };
    let predicate = construct(&own).map_err(|error| in_alias(&prefix, error))?;
    Ok(Some(Condition { predicate, negate: parsed.boolean("negate") }))
}

fn plugin(
    plugins: &Plugins,
    kind: PluginKind,
    prefix: &str,
    own: &Props,
) -> Result<Arc<Plugin>, ConnectError> {
    let class = own.get("type").ok_or_else(|| {
        ConnectError::config(format!(
            "Missing required configuration \"{prefix}type\" which has no default value."
        ))
    })?;
    plugins.find(&[kind], class.trim()).cloned().ok_or_else(|| {
        ConnectError::config(format!(
            "Invalid value {class} for configuration {prefix}type: Class {class} could not be found."
        ))
    })
}

fn aliases(lists: &Parsed, key: &str) -> Result<Vec<String>, ConnectError> {
    let aliases = lists.list(key);
    for (index, alias) in aliases.iter().enumerate() {
        if aliases.iter().take(index).any(|earlier| earlier == alias) {
            let shown = aliases.join(", ");
            return Err(ConnectError::config(format!(
                "Invalid value [{shown}] for configuration {key}: Duplicate alias provided."
            )));
        }
    }
    Ok(aliases)
}

fn in_alias(prefix: &str, error: ConnectError) -> ConnectError {
    let alias = prefix.trim_end_matches('.');
    ConnectError::config(format!("{alias} is refused by its class")).because(error)
}

fn lists() -> ConfigDef {
    let list =
        |name, documentation| ConfigKey::new(name, ConfigType::List, documentation).default("");
    ConfigDef::new(vec![
        list("transforms", "Aliases of the transforms, in the order in which records pass them."),
        list("predicates", "Aliases of the predicates that transforms refer to."),
    ])
}

fn stage_keys() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("predicate", ConfigType::String, "The alias of the stage's predicate.")
            .default(""),
        ConfigKey::new("negate", ConfigType::Boolean, "Whether the stage runs on the others.")
            .default("false"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Header, Node, PlannedValue, SchemaAndValue, SchemaBuilder, Type, Value};

    const ROUTER: &str = "org.apache.kafka.connect.transforms.RegexRouter";

    fn build(settings: &[(&str, &str)]) -> Result<Chain, String> {
        let props = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Chain::build(&Plugins::builtin(), &props.collect()).map_err(|error| error.trace())
    }

    /// Two routers: `a` puts `x-` before every topic, `b` puts `y-` before it.
    fn routers(more: &[(&str, &str)]) -> Chain {
        let base = [
            ("transforms", "a, b"),
            ("transforms.a.type", ROUTER),
            ("transforms.a.regex", ".*"),
            ("transforms.a.replacement", "x-$0"),
            ("transforms.b.type", "RegexRouter"),
            ("transforms.b.regex", ".*"),
            ("transforms.b.replacement", "y-$0"),
        ];
        build(&[&base, more].concat()).unwrap()
    }

    fn record(topic: &str) -> Record {
        Record {
            topic: topic.into(),
            partition: None,
            key: SchemaAndValue::NULL,
            value: SchemaAndValue { schema: None, value: Value::string("v") },
            timestamp_ms: None,
            offset: None,
            headers: Vec::new(),
        }
    }

    fn shape(topic: &str) -> Arc<RowPlan> {
        let schema = Some(SchemaBuilder::new(Type::String).build());
        let node = Node::Const(Value::string("v"));
        let value = Some(PlannedValue { schema, node });
        Arc::new(RowPlan {
            topic: topic.into(),
            key: None,
            value,
            cell_count: 0,
            headers: [].into(),
        })
    }

    fn planned_topic(chain: &mut Chain, topic: &str) -> String {
        match chain.plan(&shape(topic)) {
            Planned::Plan(plan) => plan.topic.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn applied_topic(chain: &mut Chain, mut record: Record) -> String {
        match chain.apply(&mut record) {
            Ok(Keep::Record) => record.topic.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn stages_run_in_order_on_records_and_shapes() {
        let mut chain = routers(&[]);
        assert_eq!(applied_topic(&mut chain, record("t")), "y-x-t");
        assert_eq!(planned_topic(&mut chain, "t"), "y-x-t");
        let mut empty = build(&[]).unwrap();
        assert!(empty.is_empty());
        assert_eq!(planned_topic(&mut empty, "t"), "t");
    }

    #[test]
    fn a_predicate_chooses_and_negate_turns_it_round() {
        let predicate = [
            ("predicates", "p"),
            ("predicates.p.type", "TopicNameMatches"),
            ("predicates.p.pattern", "t"),
            ("transforms.a.predicate", "p"),
        ];
        let mut chain = routers(&predicate);
        for (topic, expected) in [("t", "y-x-t"), ("tt", "y-tt")] {
            assert_eq!(applied_topic(&mut chain, record(topic)), expected);
            assert_eq!(planned_topic(&mut chain, topic), expected);
        }
        let mut chain = routers(&[&predicate[..], &[("transforms.a.negate", "true")]].concat());
        for (topic, expected) in [("t", "y-t"), ("tt", "y-x-tt")] {
            assert_eq!(applied_topic(&mut chain, record(topic)), expected);
            assert_eq!(planned_topic(&mut chain, topic), expected);
        }
    }

    #[test]
    fn what_depends_on_the_row_is_left_to_the_row() {
        let mut chain = routers(&[
            ("predicates", "p"),
            ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.HasHeaderKey"),
            ("predicates.p.name", "h"),
            ("transforms.b.predicate", "p"),
        ]);
        assert_eq!(planned_topic(&mut chain, "t"), "PerRecord");
        assert_eq!(applied_topic(&mut chain, record("t")), "x-t");
        let header = Header { key: "h".into(), schema: None, value: Value::Null };
        let with_header = Record { headers: vec![header], ..record("t") };
        assert_eq!(applied_topic(&mut chain, with_header), "y-x-t");
    }

    #[test]
    fn the_chain_ends_at_a_drop() {
        let mut chain = build(&[
            ("transforms", "unwrap,route"),
            ("transforms.unwrap.type", "ExtractNewRecordState"),
            ("transforms.route.type", ROUTER),
            ("transforms.route.regex", ".*"),
            ("transforms.route.replacement", "$9"),
        ])
        .unwrap();
        let mut tombstone = Record { value: SchemaAndValue::NULL, ..record("t") };
        assert_eq!(chain.apply(&mut tombstone).unwrap(), Keep::Drop);
        let shape = Arc::new(RowPlan { value: None, ..(*shape("t")).clone() });
        assert_eq!(chain.plan(&shape), Planned::Drop);
        let error = chain.apply(&mut record("t")).unwrap_err();
        assert_eq!(
            error.trace(),
            "transform \"route\" cannot process the record\nCaused by: No group 9"
        );
    }

    #[test]
    fn a_shape_is_planned_once() {
        let mut chain = routers(&[]);
        let input = shape("t");
        let (first, second) = (chain.plan(&input), chain.plan(&input));
        let (Planned::Plan(first), Planned::Plan(second)) = (first, second) else {
            panic!("routers plan");
        };
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        for (settings, expected) in [
            (
                &[("transforms", "a")][..],
                "Missing required configuration \"transforms.a.type\" which has no default value.",
            ),
            (
                &[("transforms", "a"), ("transforms.a.type", "no.Such")],
                "Invalid value no.Such for configuration transforms.a.type: Class no.Such could \
                 not be found.",
            ),
            (
                &[("transforms", "a,a"), ("transforms.a.type", ROUTER)],
                "Invalid value [a, a] for configuration transforms: Duplicate alias provided.",
            ),
            (
                &[("transforms", "a"), ("transforms.a.type", ROUTER), ("transforms.a.regex", ".")],
                "transforms.a is refused by its class\nCaused by: Missing required configuration \
                 \"replacement\" which has no default value.",
            ),
            (
                &[
                    ("transforms", "a"),
                    ("transforms.a.type", ROUTER),
                    ("transforms.a.negate", "true"),
                ],
                "Config 'transforms.a.negate' was provided but there is no config \
                 'transforms.a.predicate' defining a predicate to be negated.",
            ),
            (
                &[
                    ("transforms", "a"),
                    ("transforms.a.type", ROUTER),
                    ("transforms.a.predicate", "p"),
                ],
                "Invalid value p for configuration transforms.a.predicate: \"p\" is not listed in \
                 \"predicates\"",
            ),
        ] {
            assert_eq!(build(settings).unwrap_err(), expected);
        }
    }
}
