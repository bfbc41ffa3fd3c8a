//! What can be asked of the relations.

use fmrai_core::report::{Kind, Question, Section, Shown};

/// Tokens shown before the one that triggered.
const BEFORE: usize = 24;

/// Tokens shown after it.
const AFTER: usize = 2;

/// Texts on a card.
const TEXTS: usize = 5;

/// What the store has beside triggers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The coefficients around triggers.
    pub(super) contexts: bool,
    /// The vocabulary.
    pub(super) tokens: bool,
    /// What values promote.
    pub(super) values: bool,
}

pub(super) fn questions(known: Known, key_sigma: f64) -> Vec<Question> {
    let mut questions = vec![top(known), search(known), key_neurons(key_sigma), memories(known)];
    if known.values {
        questions.push(agreement());
    }
    questions
}

/// Refuses layers that there are not.
const NO_LAYER: &str = "SELECT printf('there are the layers 0 to %d, there is no %d', max(layer), :layer) \
                        FROM layers HAVING :layer NOT IN (SELECT layer FROM layers)";

/// Refuses neurons that the layer does not have.
const NO_NEURON: &str = "SELECT printf('layer %d has the neurons 0 to %d, there is no %d', :layer, neurons - 1, :neuron) \
                         FROM layers WHERE layer = :layer \
                         AND NOT EXISTS (SELECT 1 FROM neurons AS n WHERE n.layer = :layer AND n.neuron = :neuron)";

fn top(known: Known) -> Question {
    let about = "Shows a neuron: its strongest triggers and the tokens that its value promotes";
    let mut question = Question::new("top", about)
        .required("layer", Kind::Integer, "The layer, from 0")
        .required("neuron", Kind::Integer, "The neuron within the layer, from 0")
        .optional("limit", 10, "Triggers to show of each sign")
        .refused_if(NO_LAYER)
        .refused_if(NO_NEURON)
        .section(Section::record(
            "layer {layer} neuron {neuron}",
            "SELECT block, module, function, neurons.mean, sqrt(neurons.variance), neurons.active_share, z \
             FROM neurons JOIN layers USING (layer) WHERE layer = :layer AND neuron = :neuron",
            vec![
                Shown::text("block"),
                Shown::text("module"),
                Shown::text("function"),
                Shown::fixed("mean", 4),
                Shown::fixed("standard deviation", 4),
                Shown::percent("active positions"),
                Shown::fixed("z", 2),
            ],
        ));
    if known.values {
        let word = if known.tokens {
            "coalesce((SELECT nullif(surface, '') FROM tokens AS w WHERE w.token = v.token), '#' || token)"
        } else {
            "'#' || token"
        };
        question = question.section(Section::table(
            "its value promotes",
            format!(
                "SELECT probability, {word} FROM value_tokens AS v \
                 WHERE layer = :layer AND neuron = :neuron ORDER BY rank"
            ),
            vec![Shown::scientific("probability"), Shown::token("token")],
        ));
    }
    question
        .section(triggers("strongest triggers, the token in brackets", 1))
        .section(triggers("strongest triggers below zero, the token in brackets", -1))
}

/// The triggers of a sign with the text around them, the token in brackets after the spaces before it.
fn triggers(heading: &str, sign: i64) -> Section {
    let query = format!(
        "SELECT coefficient, text, iif(position > {BEFORE}, '…', '') || (\
           SELECT group_concat(CASE \
             WHEN w.position > t.position + {AFTER} THEN '…' \
             WHEN w.position <> t.position THEN shown \
             WHEN ltrim(shown) = '' THEN '[' || shown || ']' \
             ELSE substr(shown, 1, length(shown) - length(ltrim(shown))) || '[' || ltrim(shown) || ']' \
           END, '' ORDER BY w.position) \
           FROM text_tokens AS w \
           WHERE w.text = t.text AND w.position BETWEEN t.position - {BEFORE} AND t.position + {AFTER} + 1) \
         FROM triggers AS t WHERE layer = :layer AND neuron = :neuron AND sign = {sign} ORDER BY rank LIMIT :limit"
    );
    let columns = vec![Shown::fixed("coefficient", 4), Shown::plain("text"), Shown::text("passage")];
    Section::table(heading, query, columns)
}

/// The token as people write it, as surfaces stand: without spaces before it, unless it is nothing else.
const BARE: &str = "coalesce(nullif(ltrim(:token), ''), :token)";

fn search(known: Known) -> Question {
    let question =
        Question::new("search", "Shows which neurons promote a token, and which are triggered by it")
            .required("token", Kind::Text, "The token as people write it, or as its tokenizer has it")
            .optional("limit", 10, "Neurons to show of each kind for each token");
    if !known.tokens {
        let none = "the model has no tokenizer, so there are no tokens to search for";
        return question.refused_if(format!("SELECT '{none}'")).section(Section::table(
            none,
            "SELECT :token, :limit",
            vec![Shown::token("token"), Shown::plain("limit")],
        ));
    }
    let found = format!("SELECT token FROM tokens WHERE surface = {BARE} OR content = :token");
    let near = format!(
        "SELECT group_concat(iif(trim(near, ' ' || char(9, 10, 13)) = '', json_quote(near), near), ', ') FROM (\
           SELECT DISTINCT surface AS near FROM tokens \
           WHERE substr(surface, 1, length({BARE})) = {BARE} AND {BARE} <> '' ORDER BY length(surface), surface LIMIT 5)"
    );
    let mut question = question
        .refused_if(format!(
            "SELECT 'the vocabulary has no token ' || json_quote(:token) || coalesce('; there are ' || ({near}), '') \
             WHERE NOT EXISTS ({found})"
        ))
        .section(Section::table(
            "tokens",
            format!(
                "SELECT token, coalesce(nullif(surface, ''), content), nullif(content, surface) FROM tokens \
                 WHERE token IN ({found}) ORDER BY surface <> {BARE}, token"
            ),
            vec![Shown::plain("id"), Shown::token("token"), Shown::token("in the vocabulary")],
        ));
    if known.values {
        let query = format!(
            "SELECT probability, layer, neuron, rank + 1, token FROM (\
               SELECT *, row_number() OVER (PARTITION BY token ORDER BY probability DESC, layer, neuron) AS place \
               FROM value_tokens WHERE token IN ({found})) \
             WHERE place <= :limit ORDER BY probability DESC, layer, neuron, token"
        );
        let columns = vec![
            Shown::scientific("probability"),
            Shown::plain("layer"),
            Shown::plain("neuron"),
            Shown::plain("place"),
            Shown::plain("id"),
        ];
        question = question.section(Section::table("promoted by the values of", query, columns).or("none"));
    }
    let query = format!(
        "SELECT count, layer, neuron, largest, token FROM (\
           SELECT *, row_number() OVER (PARTITION BY token ORDER BY count DESC, largest DESC, layer, neuron) AS place \
           FROM (SELECT token, layer, neuron, count(*) AS count, max(coefficient) AS largest FROM triggers \
             WHERE sign = 1 AND token IN ({found}) GROUP BY token, layer, neuron)) \
         WHERE place <= :limit ORDER BY count DESC, largest DESC, layer, neuron, token"
    );
    let columns = vec![
        Shown::plain("triggers"),
        Shown::plain("layer"),
        Shown::plain("neuron"),
        Shown::fixed("largest coefficient", 4),
        Shown::plain("id"),
    ];
    question.section(Section::table("among the strongest triggers of", query, columns).or("none"))
}

fn key_neurons(key_sigma: f64) -> Question {
    let about = "Shows the neurons that are most active on average, compared with the others of their layer";
    let query = "SELECT layer, neuron, z, mean, active_share FROM neurons WHERE z > :above \
                 ORDER BY z DESC, layer, neuron LIMIT :limit";
    let columns = vec![
        Shown::plain("layer"),
        Shown::plain("neuron"),
        Shown::fixed("z", 2),
        Shown::fixed("mean", 4),
        Shown::percent("active positions"),
    ];
    Question::new("key-neurons", about)
        .optional("above", key_sigma, "Least z: standard deviations above the mean of the layer's neurons")
        .optional("limit", 20, "Neurons to show")
        .section(Section::table("neurons with z above {above}", query, columns).or("none"))
}

/// Cards of neurons, to leaf through: those first whose strongest coefficient stands out most from their own mean, layers taking
/// turns.
fn memories(known: Known) -> Question {
    // As people write it, or as the tokenizer has it; a neuron has it where it triggers the neuron, or where its value promotes it.
    let wanted = format!("SELECT token FROM tokens WHERE surface = {BARE} OR content = :token");
    let promoted = match known.values {
        true => format!(
            " OR EXISTS (SELECT 1 FROM value_tokens AS v WHERE v.layer = n.layer AND v.neuron = n.neuron AND v.token IN ({wanted}))"
        ),
        false => String::new(),
    };
    let token = match known.tokens {
        true => format!(
            "(:token = '' OR EXISTS (SELECT 1 FROM triggers AS t WHERE t.layer = n.layer AND t.neuron = n.neuron AND t.sign = 1 \
             AND t.token IN ({wanted})){promoted})"
        ),
        false => "(:token = '' OR 1)".to_owned(),
    };
    let word = match known.tokens {
        true => {
            "coalesce((SELECT nullif(surface, '') FROM tokens AS w WHERE w.token = v.token), '#' || token)"
        }
        false => "'#' || token",
    };
    let (agrees, promotes) = match known.values {
        true => (
            "(SELECT a.next_rank FROM agreement AS a WHERE a.layer = n.layer AND a.neuron = n.neuron)",
            format!(
                "json_array('its value promotes: ' || coalesce((SELECT group_concat(trim({word}), ', ' ORDER BY rank) \
                 FROM value_tokens AS v WHERE v.layer = n.layer AND v.neuron = n.neuron AND v.rank < 8), 'nothing'))"
            ),
        ),
        false => ("NULL", "json_array()".to_owned()),
    };
    let (around, join) = match known.contexts {
        true => (
            "CASE WHEN w.position >= c.first THEN json_extract(c.coefficients, '$[' || (w.position - c.first) || ']') END",
            "LEFT JOIN contexts AS c USING (layer, neuron, sign, rank)",
        ),
        false => ("NULL", ""),
    };
    let tokens = format!(
        "json((SELECT json_group_array(json_array(w.shown, iif(w.position = t.position, t.coefficient, {around})) ORDER BY w.position) \
         FROM text_tokens AS w WHERE w.text = t.text AND w.position BETWEEN t.position - {BEFORE} AND t.position + {AFTER}))"
    );
    let passages = format!(
        "(SELECT json_group_array(json_object('label', printf('%.2f', t.coefficient), 'marked', min(t.position, {BEFORE}), \
           'cut_before', t.position > {BEFORE}, \
           'cut_after', t.position + {AFTER} + 1 < (SELECT tokens FROM texts AS x WHERE x.text = t.text), 'tokens', {tokens}) \
           ORDER BY t.rank) \
         FROM triggers AS t {join} WHERE t.layer = n.layer AND t.neuron = n.neuron AND t.sign = 1 AND t.rank < {TEXTS})"
    );
    let query = format!(
        "SELECT printf('layer %d, neuron %d', n.layer, n.neuron), n.layer, n.largest, n.stands_out, n.active_share, {agrees}, \
           {promotes}, {passages} \
         FROM (SELECT *, (largest - mean) / nullif(sqrt(variance), 0) AS stands_out, \
             row_number() OVER (PARTITION BY layer ORDER BY (largest - mean) / nullif(sqrt(variance), 0) DESC, neuron) AS place \
           FROM neurons AS n WHERE (:layer < 0 OR layer = :layer) AND {token}) AS n \
         ORDER BY n.place, n.layer LIMIT :limit OFFSET :skip"
    );
    let columns = vec![
        Shown::text("title"),
        Shown::plain("layer"),
        Shown::fixed("strongest", 2),
        Shown::fixed("stands_out", 1),
        Shown::percent("active"),
        Shown::plain("place_of_next_token"),
        Shown::text("details"),
        Shown::text("passages"),
    ];
    let about = "Shows cards of neurons with the texts that trigger them, those first whose strongest coefficient stands out most";
    Question::new("memories", about)
        .optional("layer", -1, "The layer, from 0; -1 for all of them, which take turns")
        .optional(
            "token",
            "",
            "Only neurons that this token triggers, or whose value promotes it; all where it is empty",
        )
        .optional("limit", 240, "Cards to show")
        .optional("skip", 0, "Cards to skip before the first one")
        .section(Section::cards("memories", query, columns).or("none"))
}

fn agreement() -> Question {
    let about =
        "Shows the values of a layer that agree most with what follows the strongest trigger of their key";
    let query = "SELECT neuron, predicted_token, probability, next_token, next_probability, next_rank FROM agreement \
                 WHERE layer = :layer ORDER BY next_rank, probability DESC, neuron LIMIT :limit";
    let columns = vec![
        Shown::plain("neuron"),
        Shown::token("predicted"),
        Shown::scientific("probability"),
        Shown::token("next"),
        Shown::scientific("probability of it"),
        Shown::plain("place of it"),
    ];
    Question::new("agreement", about)
        .required("layer", Kind::Integer, "The layer, from 0")
        .optional("limit", 10, "Values to show")
        .refused_if(NO_LAYER)
        .section(Section::table("values of layer {layer}", query, columns).or("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_can_be_asked() {
        for (tokens, values) in [(false, false), (false, true), (true, false), (true, true)] {
            for question in questions(Known { contexts: values, tokens, values }, 3.0) {
                assert_eq!(question.check(), Ok(()));
            }
        }
    }
}
