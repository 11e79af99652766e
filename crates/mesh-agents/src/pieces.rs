//! Texts cut to what one item of a stream may carry.

/// Cuts a text into pieces of at most `bytes_max` bytes, each of whole characters.
pub(crate) fn pieces(mut text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(bytes_max));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_whole_characters_and_make_the_text_again() {
        let text = "grüße, 世界";
        let cut: Vec<_> = pieces(text, 4).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|piece| (1..=4).contains(&piece.len())), "{cut:?}");
        assert_eq!(pieces("", 4).count(), 0);
    }
}
