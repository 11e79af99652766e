//! From one text to the items of a parallel stage.

mod fence;
mod json;
mod list;

/// Splits what a model wrote into items, in the order of the text.
///
/// The first of these that the text has decides:
/// 1. JSON, alone, in a fenced block, or beginning a line of the prose: an array's elements, or those of an object's
///    `steps`, `tasks` or `items`. A string is taken as it is, anything else as compact JSON.
/// 2. A list with numbers (`1.` `1)`) or bullets (`-` `*` `+` `•`) of at least two items. What is nested under an item
///    belongs to it. If there are numbers and bullets on one level, the numbers count and the bullets are nested.
///    Prose around the list is left out.
/// 3. Neither: one item, the whole text.
///
/// An empty array gives no items. Any other text gives at least one.
pub fn split(text: &str) -> Vec<String> {
    // The list is read with the indent of its first line: without it, the others would seem nested.
    json::items(text.trim()).or_else(|| list::items(text)).unwrap_or_else(|| vec![text.trim().to_owned()])
}

#[cfg(test)]
mod tests;
