//! Reports as a JSON document and attached tensors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::report::{Column, Figure, Index, NamedTensor, Relation, Report, Store, Table, Values, number};
use crate::tensor::TensorValue;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    summary: Map<String, Value>,
    tables: Vec<TableDocument>,
    tensors: Vec<TensorDocument>,
    figures: Vec<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreDocument>,
}

#[derive(Serialize, Deserialize)]
struct StoreDocument {
    schema: String,
    version: u32,
    relations: Vec<RelationDocument>,
}

#[derive(Serialize, Deserialize)]
struct RelationDocument {
    about: String,
    table: TableDocument,
    key: Vec<String>,
    #[serde(default)]
    indexes: Vec<IndexDocument>,
}

#[derive(Serialize, Deserialize)]
struct IndexDocument {
    name: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct TableDocument {
    name: String,
    columns: Vec<ColumnDocument>,
}

#[derive(Serialize, Deserialize)]
struct ColumnDocument {
    name: String,
    #[serde(default)]
    unit: Option<String>,
    #[serde(flatten)]
    values: ValuesDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "values", rename_all = "snake_case")]
enum ValuesDocument {
    Int(Vec<i64>),
    Float(#[serde(with = "number::list")] Vec<f64>),
    Text(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct TensorDocument {
    name: String,
    axes: Vec<String>,
    #[serde(default)]
    unit: Option<String>,
}

/// The document of a report, and its tensors by name.
pub(super) fn write(report: Report) -> Result<(String, Vec<(String, TensorValue)>), String> {
    let Report { summary, tables, tensors, figures, store } = report;
    let tables = tables.iter().map(written).collect();
    let store = store.map(|Store { schema, version, relations }| {
        let index = |Index { name, columns }| IndexDocument { name, columns };
        let relation = |Relation { about, table, key, indexes }| RelationDocument {
            about,
            table: written(&table),
            key,
            indexes: indexes.into_iter().map(index).collect(),
        };
        StoreDocument { schema, version, relations: relations.into_iter().map(relation).collect() }
    });
    let mut attached = Vec::new();
    let mut listed = Vec::new();
    for NamedTensor { name, axes, unit, value } in tensors {
        attached.push((name.clone(), value));
        listed.push(TensorDocument { name, axes, unit });
    }
    let document = Document { summary, tables, tensors: listed, figures, store };
    let text = serde_json::to_string(&document).map_err(|e| format!("the report has no JSON: {e}"))?;
    Ok((text, attached))
}

fn written(table: &Table) -> TableDocument {
    let column = |column: &Column| ColumnDocument {
        name: column.name.clone(),
        unit: column.unit.clone(),
        values: match &column.values {
            Values::Int(v) => ValuesDocument::Int(v.clone()),
            Values::Float(v) => ValuesDocument::Float(v.clone()),
            Values::Text(v) => ValuesDocument::Text(v.clone()),
        },
    };
    TableDocument { name: table.name().to_owned(), columns: table.columns().iter().map(column).collect() }
}

fn read_table(TableDocument { name, columns }: TableDocument) -> Result<Table, String> {
    let columns = columns.into_iter().map(|ColumnDocument { name, unit, values }| Column {
        name,
        unit,
        values: match values {
            ValuesDocument::Int(v) => Values::Int(v),
            ValuesDocument::Float(v) => Values::Float(v),
            ValuesDocument::Text(v) => Values::Text(v),
        },
    });
    Table::new(&name, columns.collect()).map_err(|e| e.to_string())
}

/// The report of a document and attached tensors, checked.
pub(super) fn read(text: &str, mut attached: Vec<(String, TensorValue)>) -> Result<Report, String> {
    let document: Document = serde_json::from_str(text).map_err(|e| {
        format!("the report's document cannot be read: {e} (a number that JSON has no form for is null or \"inf\")")
    })?;
    let mut report = Report { summary: document.summary, figures: document.figures, ..Report::default() };
    for table in document.tables {
        report.tables.push(read_table(table)?);
    }
    report.store = match document.store {
        None => None,
        Some(StoreDocument { schema, version, relations }) => {
            let relation = |RelationDocument { about, table, key, indexes }| {
                let index = |IndexDocument { name, columns }| Index { name, columns };
                let indexes = indexes.into_iter().map(index).collect();
                Ok::<_, String>(Relation { about, table: read_table(table)?, key, indexes })
            };
            Some(Store {
                schema,
                version,
                relations: relations.into_iter().map(relation).collect::<Result<_, _>>()?,
            })
        }
    };
    for TensorDocument { name, axes, unit } in document.tensors {
        let at = attached.iter().position(|(attached, _)| *attached == name);
        let Some(at) = at else {
            return Err(format!("the report names the tensor {name:?}, which was not added"));
        };
        let (_, value) = attached.swap_remove(at);
        if value.shape().len() != axes.len() {
            let shape = value.shape();
            return Err(format!(
                "tensor {name:?} has the shape {shape:?}, its document names the axes {axes:?}"
            ));
        }
        report.tensors.push(NamedTensor { name, axes, unit, value });
    }
    match attached.first() {
        None => Ok(report),
        Some((name, _)) => Err(format!("the tensor {name:?} was added, but the report does not name it")),
    }
}
