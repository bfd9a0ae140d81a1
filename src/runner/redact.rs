//! Secrets do not leave by a child's output: where one stands, `***` is written instead.
//!
//! Pure: bytes come in, bytes go out. Reading and writing them is [`child`](super::child)'s.
//!
//! A secret is recognised as it is, percent-encoded (as in a URL), and in base64 (as
//! `kubectl get secret` shows it, and in a header of basic authentication): alone, or within a
//! longer text that was encoded with it. Of a JWT, which holds nothing secret but its signature,
//! the signature is masked alone as well: without it, what is left of the token proves nothing. What
//! has been changed in another way is not recognised: base64 with line breaks, JSON's escapes,
//! a part of a secret.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::noncontiguous::NFA;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::text::SecretText;

/// The secrets that must not be seen. A clone is the same set: what is added to one is masked by all,
/// and by the streams that are open already.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

/// The forms of the secrets, and how they are found.
#[derive(Default)]
struct Known {
    lasting: Vec<Vec<Form>>,
    /// By whose they are, oldest first.
    passing: BTreeMap<String, VecDeque<Vec<Form>>>,
    finder: Option<Arc<Finder>>,
}

/// Why a secret is not masked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotMasked {
    /// Short ones stand in ordinary text too often: `true` would be masked wherever it is said.
    #[error("a secret of fewer than {SHORTEST} bytes is not masked: make it longer")]
    TooShort,
    /// More secrets than can be searched for (2 GiB of them).
    #[error("the secret cannot be searched for: {0}")]
    Search(String),
}

/// What stands for a secret, or for several without anything between them.
pub const MASK: &str = "***";

/// As many renewals of one thing are known at a time: the one before still lives when the next one
/// comes.
pub const MOST_PASSING: usize = 4;

/// In bytes, without white space around them.
pub const SHORTEST: usize = 8;

impl Redactor {
    /// Masks `secret` from here on, for good.
    ///
    /// # Errors
    /// [`NotMasked`]; the secrets that are known stay so.
    pub fn add(&self, secret: &SecretText) -> Result<(), NotMasked> {
        self.learn(secret, |known, forms| known.lasting.push(forms))
    }

    /// Masks `secret`, which takes the place of others that `whom` had: of those, the last
    /// [`MOST_PASSING`] are masked. What is renewed for as long as the child runs ends by itself, and
    /// the search must not grow with every renewal.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_renewed(&self, whom: &str, secret: &SecretText) -> Result<(), NotMasked> {
        self.learn(secret, |known, forms| {
            let passing = known.passing.entry(whom.to_owned()).or_default();
            if passing.len() >= MOST_PASSING {
                passing.pop_front();
            }
            passing.push_back(forms);
        })
    }

    fn learn(
        &self,
        secret: &SecretText,
        keep: impl FnOnce(&mut Known, Vec<Form>),
    ) -> Result<(), NotMasked> {
        let secret = secret.expose().trim();
        if secret.len() < SHORTEST {
            return Err(NotMasked::TooShort);
        }
        let forms = forms_of(secret);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut passing = known.passing.values().flatten();
        if known.lasting.contains(&forms) || passing.any(|passing| *passing == forms) {
            return Ok(());
        }
        keep(&mut known, forms);
        let passing = known.passing.values().flatten();
        let of_all = known.lasting.iter().chain(passing).flatten();
        known.finder = Some(Arc::new(Finder::new(of_all)?));
        Ok(())
    }

    /// Begins with one stream of output. Each has its own: what is held back of one must not come
    /// out of the other.
    pub fn stream(&self) -> RedactedStream {
        RedactedStream {
            redactor: self.clone(),
            search: None,
            window: Vec::new(),
            sent: 0,
            secret: Vec::new(),
            after_mask: false,
        }
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.finder.clone()
    }
}

/// Says nothing, not even how many.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

/// One stream of output, on its way.
///
/// A byte is masked if it belongs to a secret, whichever: where two overlap, nothing of either
/// remains. How the stream was cut into writes makes no difference to what comes out.
pub struct RedactedStream {
    redactor: Redactor,
    /// None as long as there is no secret.
    search: Option<Search>,
    /// The end of what came in: from where a secret may have begun that is not complete.
    window: Vec<u8>,
    /// How much of the window has been passed on: a complete secret is, even where it may be the
    /// beginning of a longer one.
    sent: usize,
    /// The parts of the window that belong to secrets: in order, with something between each two.
    secret: Vec<Range<usize>>,
    /// Whether what was passed on ends with a mask.
    after_mask: bool,
}

/// A finder, and where it is after the window.
struct Search {
    finder: Arc<Finder>,
    state: StateID,
}

impl RedactedStream {
    /// Takes what was written, and gives what may be seen of it and of what was held back. Held
    /// back is the longest end that a secret may begin with, and nothing more. It costs the time
    /// of reading `bytes` and what was held back, however many secrets there are.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.look_for_new_secrets();
        let from = self.window.len();
        self.window.extend_from_slice(bytes);
        self.scan(from);
        let begun = self.search.as_ref().map_or(0, Search::begun);
        self.pass_on(self.window.len() - begun)
    }

    /// The end: what was held back is no secret.
    pub fn finish(mut self) -> Vec<u8> {
        self.look_for_new_secrets();
        self.pass_on(self.window.len())
    }

    fn look_for_new_secrets(&mut self) {
        let Some(finder) = self.redactor.finder() else {
            return;
        };
        let search = self.search.as_ref();
        if search.is_some_and(|search| Arc::ptr_eq(&search.finder, &finder)) {
            return;
        }
        let state = finder.start;
        self.search = Some(Search { finder, state });
        self.secret.clear();
        self.scan(0);
    }

    /// Finds the secrets that end in the window at `from` or later.
    fn scan(&mut self, from: usize) {
        let Some(search) = &mut self.search else {
            return;
        };
        for (at, byte) in self.window.iter().enumerate().skip(from) {
            if let Some(length) = search.step(*byte) {
                let end = at + 1;
                let mut start = end - length;
                while let Some(last) = self.secret.pop_if(|last| last.end >= start) {
                    start = start.min(last.start);
                }
                self.secret.push(start..end);
            }
        }
    }

    /// Passes on what is before `begun`, and what follows there of a secret that is complete.
    /// Forgets what is before `begun`.
    fn pass_on(&mut self, begun: usize) -> Vec<u8> {
        let settled = begun.max(self.sent);
        let across = |secret: &&Range<usize>| secret.contains(&settled);
        let across = self.secret.iter().find(across);
        let until = across.map_or(settled, |secret| secret.end);
        let mut output = Vec::with_capacity(until - self.sent);
        for secret in self.secret.iter().filter(|it| it.start < until) {
            if self.sent < secret.start {
                output.extend_from_slice(&self.window[self.sent..secret.start]);
                self.after_mask = false;
            }
            if self.sent < secret.end {
                if !self.after_mask {
                    output.extend_from_slice(MASK.as_bytes());
                }
                self.after_mask = true;
                self.sent = secret.end;
            }
        }
        if self.sent < until {
            output.extend_from_slice(&self.window[self.sent..until]);
            self.after_mask = false;
            self.sent = until;
        }
        self.window.drain(..begun);
        self.sent -= begun;
        self.secret.retain(|secret| secret.start >= until);
        for secret in &mut self.secret {
            *secret = secret.start - begun..secret.end - begun;
        }
        output
    }
}

impl Search {
    /// Takes one byte further; the length of the longest secret that ends with it.
    fn step(&mut self, byte: u8) -> Option<usize> {
        let automaton = &self.finder.automaton;
        self.state = automaton.next_state(Anchored::No, self.state, byte);
        if !automaton.is_match(self.state) {
            return None;
        }
        let found = 0..automaton.match_len(self.state);
        let pattern = |index| automaton.match_pattern(self.state, index);
        found
            .map(|index| automaton.pattern_len(pattern(index)))
            .max()
    }

    /// How many bytes up to here a secret may begin with, or be.
    fn begun(&self) -> usize {
        self.finder.depths[self.state.as_usize()]
    }
}

/// Finds all forms of all secrets at once. The library's own search wants the whole text; its
/// automaton can be led through a stream, byte by byte.
struct Finder {
    automaton: NFA,
    start: StateID,
    /// For each state, the length of the text that leads to it: the longest end of what was read
    /// that a form begins with.
    depths: Vec<usize>,
}

type Form = Zeroizing<Vec<u8>>;

impl Finder {
    fn new<'a>(forms: impl Iterator<Item = &'a Form>) -> Result<Self, NotMasked> {
        let forms: Vec<_> = forms.collect();
        let automaton = NFA::new(&forms).map_err(|it| NotMasked::Search(it.to_string()))?;
        let start = automaton.start_state(Anchored::No);
        let start = start.map_err(|it| NotMasked::Search(it.to_string()))?;
        let mut depths = vec![0; start.as_usize() + 1];
        for form in forms {
            let mut state = start;
            for (at, byte) in form.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, *byte);
                let index = state.as_usize();
                if depths.len() <= index {
                    depths.resize(index + 1, 0);
                }
                depths[index] = at + 1;
            }
        }
        Ok(Self {
            automaton,
            start,
            depths,
        })
    }
}

/// All that a secret looks like when it reaches a log.
fn forms_of(secret: &str) -> Vec<Form> {
    let mut forms = vec![secret.to_owned(), percent_encoded(secret)];
    forms.push(STANDARD.encode(secret));
    forms.extend((0..3).map(|before| base64_within(before, secret)));
    forms.extend(signature_of(secret).map(str::to_owned));
    let bytes = |form: String| Zeroizing::new(form.into_bytes());
    forms.into_iter().map(bytes).collect()
}

/// All but what need not be encoded (RFC 3986 section 2.3).
fn percent_encoded(secret: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    secret.bytes().map(encoded).collect()
}

/// What `secret` always becomes in the base64 of a longer text in which `before` bytes of the first
/// group of three are before it. The characters at both ends are left out that its neighbours have a
/// say in.
fn base64_within(before: usize, secret: &str) -> String {
    const BITS: usize = 6;
    let text = Zeroizing::new([&[0; 3][..before], secret.as_bytes()].concat());
    let encoded = STANDARD_NO_PAD.encode(&text);
    encoded[(before * 8).div_ceil(BITS)..text.len() * 8 / BITS].to_owned()
}

/// The last part of a JWT (RFC 7515 section 7.1), whose header is JSON and so begins with `{"`.
fn signature_of(secret: &str) -> Option<&str> {
    let (signed, signature) = secret.rsplit_once('.')?;
    let is_jwt = signed.starts_with("eyJ") && signed.matches('.').count() == 1;
    (is_jwt && signature.len() >= SHORTEST).then_some(signature)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.add(&SecretText::new(*secret)).unwrap();
        }
        redactor
    }

    /// What comes out of each write, and of the end.
    fn pushed(redactor: &Redactor, writes: &[&[u8]]) -> Vec<String> {
        let mut stream = redactor.stream();
        let mut output: Vec<_> = writes.iter().map(|bytes| stream.push(bytes)).collect();
        output.push(stream.finish());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        output.into_iter().map(text).collect()
    }

    fn masked(redactor: &Redactor, text: &str) -> String {
        pushed(redactor, &[text.as_bytes()]).concat()
    }

    #[test]
    fn what_is_renewed_again_and_again_is_forgotten_and_nothing_else_is() {
        let redactor = Redactor::default();
        let secret = |n: usize| SecretText::new(format!("secret-number-{n:04}"));
        for n in 1_000..1_200 {
            redactor.add(&secret(n)).unwrap();
        }
        redactor.add_renewed("another", &secret(2_000)).unwrap();
        for n in 0..=MOST_PASSING {
            redactor.add_renewed("AWS", &secret(n)).unwrap();
        }
        let seen = |n| {
            let mut stream = redactor.stream();
            let mut seen = stream.push(secret(n).expose().as_bytes());
            seen.extend(stream.finish());
            String::from_utf8(seen).unwrap()
        };
        assert_eq!(seen(0), "secret-number-0000");
        for n in (1..=MOST_PASSING).chain(1_000..1_200).chain([2_000]) {
            assert_eq!(seen(n), MASK);
        }
    }

    #[test]
    fn only_what_a_secret_may_begin_with_is_held_back() {
        let redactor = redactor(&["s3cr3t-one", "s3cr3t-one-and-two", "t-one-too"]);
        let output = |writes: &[&str]| {
            let writes: Vec<_> = writes.iter().map(|text| text.as_bytes()).collect();
            pushed(&redactor, &writes)
        };
        assert_eq!(output(&["a line\n", "two"]), ["a line\n", "two", ""]);
        assert_eq!(output(&["so s3cr3", "t!"]), ["so ", "s3cr3t!", ""]);
        assert_eq!(output(&["so s3cr3", "t-one."]), ["so ", "***.", ""]);
        // A complete one goes at once, whatever becomes of the longer one,
        let longer = ["s3cr3t-one", "-and", "-two", "."];
        assert_eq!(output(&longer), ["***", "", "", ".", ""]);
        // of which nothing is lost if it is none.
        let shorter = ["s3cr3t-one", "-and", "."];
        assert_eq!(output(&shorter), ["***", "", "-and.", ""]);
        assert_eq!(output(&["s3cr3t-one-and"]), ["***", "-and"]);
        // Of two that overlap nothing remains.
        assert_eq!(output(&["<s3cr3t-one-too>"]), ["<***>", ""]);
        assert_eq!(output(&["<s3cr3t-on", "e", "-to", "o>"]).concat(), "<***>");
    }

    #[test]
    fn each_form_in_which_a_secret_is_shown_is_masked() {
        let secret = "p~ss/w+rd=1 é";
        let redactor = redactor(&[secret]);
        assert_eq!(masked(&redactor, &format!("a {secret} b")), "a *** b");
        let url = "https://x?p=p~ss%2Fw%2Brd%3D1%20%C3%A9&q";
        assert_eq!(masked(&redactor, url), "https://x?p=***&q");
        let alone = STANDARD.encode(secret);
        assert_eq!(masked(&redactor, &format!("a: {alone}\n")), "a: ***\n");
        for before in ["", "u", "us", "usr", "user"] {
            for after in ["", "1", "12", "123"] {
                let text = format!("{before}:{secret}{after}");
                let encoded = STANDARD.encode(&text);
                let output = masked(&redactor, &encoded);
                let (start, end) = output.split_once("***").unwrap();
                // A character at either end may have bits of the secret, fewer than six.
                assert!(start.len() * 6 < (before.len() + 1) * 8 + 6, "{output}");
                assert!(end.len() * 6 < (after.len() + 2) * 8 + 6, "{output}");
            }
        }
    }

    #[test]
    fn a_token_is_masked_whole_and_its_signature_alone() {
        let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
        let redactor = redactor(&[token]);
        assert_eq!(masked(&redactor, &format!("<{token}>")), "<***>");
        assert_eq!(masked(&redactor, "….c2lnbmF0dXJl"), "….***");
        let claims = "eyJzdWIiOiJtZSJ9";
        assert_eq!(masked(&redactor, claims), claims);
        assert_eq!(signature_of("a.b.c2lnbmF0dXJl"), None);
        assert_eq!(signature_of("eyJh.b.c.c2lnbmF0dXJl"), None);
    }

    #[test]
    fn what_is_short_is_not_masked_and_white_space_around_it_does_not_count() {
        let redactor = redactor(&["\tlong enough\n"]);
        let short = redactor.add(&SecretText::new("1234567\n"));
        assert_eq!(short, Err(NotMasked::TooShort));
        assert_eq!(masked(&redactor, "1234567 long enough"), "1234567 ***");
        assert_eq!(format!("{redactor:?}"), "Redactor(…)");
    }

    #[test]
    fn a_secret_is_masked_from_when_it_is_known() {
        let redactor = Redactor::default();
        let mut stream = redactor.stream();
        assert_eq!(
            stream.push(b"first-one second-one "),
            b"first-one second-one "
        );
        redactor.add(&SecretText::new("first-one")).unwrap();
        assert_eq!(stream.push(b"first-one first-"), b"*** ");
        redactor.add(&SecretText::new("second-one")).unwrap();
        assert_eq!(stream.push(b"one second"), b"*** ");
        assert_eq!(stream.push(b"-one."), b"***.");
        // One that is known already changes nothing.
        redactor.add(&SecretText::new("second-one")).unwrap();
        assert_eq!(stream.finish(), b"");
    }

    /// Long ones over two letters, so that they overlap, and begin and end alike.
    fn secrets() -> impl Strategy<Value = Vec<String>> {
        vec("[ab]{8,12}", 1..5)
    }

    /// Text with secrets in it, and with what nearly is one; not all of it UTF-8.
    fn texts(secrets: Vec<String>) -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
        let encode: Vec<fn(&str) -> String> = vec![
            str::to_owned,
            |secret| STANDARD.encode(secret),
            |secret| secret[1..].to_owned(),
            |secret| secret[..7].to_owned(),
        ];
        let piece = prop_oneof![
            (select(secrets.clone()), select(encode)).prop_map(|(it, encode)| encode(&it).into()),
            vec(select(b"ab \xff\n".to_vec()), 0..6),
        ];
        let text = vec(piece, 0..12).prop_map(|pieces| pieces.concat());
        (Just(secrets), text)
    }

    /// Where each write ends.
    fn cuts(text: &[u8], at: &[Index]) -> Vec<usize> {
        let mut cuts: Vec<_> = at.iter().map(|at| at.index(text.len() + 1)).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        cuts
    }

    /// The rule itself, without any thought of speed or of streams.
    fn reference(secrets: &[String], text: &[u8]) -> Vec<u8> {
        let forms = secrets.iter().flat_map(|secret| forms_of(secret));
        let mut hidden = vec![false; text.len()];
        for form in forms {
            for at in 0..text.len() {
                if text[at..].starts_with(&form) {
                    hidden[at..at + form.len()].fill(true);
                }
            }
        }
        let mut output = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            match hidden[at] {
                false => output.push(*byte),
                true if at > 0 && hidden[at - 1] => {}
                true => output.extend(MASK.bytes()),
            }
        }
        output
    }

    fn holds(text: &[u8], secret: &str) -> bool {
        let mut windows = text.windows(secret.len());
        windows.any(|window| window == secret.as_bytes())
    }

    proptest! {
        #[test]
        fn however_it_is_cut_no_secret_comes_out(
            (secrets, text) in secrets().prop_flat_map(texts),
            at in vec(any::<Index>(), 0..20),
        ) {
            let names: Vec<_> = secrets.iter().map(String::as_str).collect();
            let mut stream = redactor(&names).stream();
            let mut output = Vec::new();
            let mut from = 0;
            for cut in cuts(&text, &at) {
                output.extend(stream.push(&text[from..cut]));
                from = cut;
                prop_assert!(stream.window.len() - stream.sent < 20, "more than any form is held");
            }
            output.extend(stream.finish());
            prop_assert_eq!(&output, &reference(&secrets, &text));
            prop_assert!(secrets.iter().all(|secret| !holds(&output, secret)));
        }

        #[test]
        fn a_secret_that_becomes_known_on_the_way_uncovers_nothing(
            (secrets, text) in secrets().prop_flat_map(texts),
            at in vec(any::<Index>(), 0..20),
        ) {
            let redactor = Redactor::default();
            let mut stream = redactor.stream();
            let (mut output, mut known) = (Vec::new(), Vec::new());
            let mut from = 0;
            for (turn, cut) in cuts(&text, &at).into_iter().enumerate() {
                if let Some(secret) = secrets.get(turn) {
                    redactor.add(&SecretText::new(secret.as_str())).unwrap();
                    known.push((secret, output.len()));
                }
                output.extend(stream.push(&text[from..cut]));
                from = cut;
            }
            output.extend(stream.finish());
            for (secret, since) in known {
                prop_assert!(!holds(&output[since..], secret));
            }
        }

        #[test]
        fn output_without_a_secret_is_left_alone(text in vec(any::<u8>(), 0..200), cut in any::<Index>()) {
            let mut stream = redactor(&["correct-horse-battery"]).stream();
            let cut = cut.index(text.len() + 1);
            let mut output = stream.push(&text[..cut]);
            output.extend(stream.push(&text[cut..]));
            output.extend(stream.finish());
            prop_assert_eq!(output, text);
        }
    }
}
