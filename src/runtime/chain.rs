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
}

struct Stage {
    alias: String,
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
        Ok(Self { stages, plans: HashMap::new() })
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
            if !stage.runs_on(record) {
                continue;
            }
            let keep = stage.transformation.apply(record).map_err(|error| {
                let alias = &stage.alias;
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
        Ok(Self { alias, transformation, condition })
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
