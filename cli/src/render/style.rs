//! Colours. They never carry meaning alone: there is a symbol and a word beside them.

use std::fmt;

use anstyle::{AnsiColor, Style};

/// Puts colours around texts, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something new.
    Good,
    /// Something that changes.
    Change,
    /// Something that goes, or failed.
    Bad,
    /// Something of ours that changes hands.
    Note,
    /// Of less importance.
    Faint,
    /// A heading.
    Strong,
}

impl Paint {
    /// With or without colours.
    pub fn new(on: bool) -> Paint {
        Paint { on }
    }

    /// Whether there are colours.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// The text in a tone.
    pub fn tone(self, tone: Tone, text: impl fmt::Display) -> String {
        if !self.on {
            return text.to_string();
        }
        let style = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Change => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Note => AnsiColor::Cyan.on_default(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_the_text_is_left_as_it_is() {
        assert_eq!(Paint::new(false).tone(Tone::Bad, "gone"), "gone");
        let painted = Paint::new(true).tone(Tone::Bad, "gone");
        assert!(painted.starts_with('\u{1b}') && painted.contains("gone"));
    }
}
