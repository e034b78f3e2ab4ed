//! The reader and the writer of YAML, held against each other.

use pyyaml::{Keys, python};

pub fn check(data: &[u8]) {
    let from_bytes = pyyaml::read_bytes(data);
    let Ok(text) = std::str::from_utf8(data) else {
        let error = from_bytes.expect_err("YAML is UTF-8");
        assert!(error.to_string().contains("UTF-8"), "{error}");
        return;
    };
    let read = pyyaml::read(text);
    assert_eq!(from_bytes, read);
    let marked = pyyaml::read_marked(text);
    assert_eq!(marked.map(|(value, _)| value), read);
    match read {
        Err(error) => {
            let mark = error.mark();
            // Python ends lines at more characters than these, so this is an upper bound for short texts only.
            assert!(mark.line >= 1 && mark.line <= text.chars().count() + 1, "{error}");
            assert!(mark.column >= 1 && mark.column <= text.chars().count() + 1, "{error}");
            assert!(!error.to_string().is_empty());
        }
        Ok(value) => {
            assert_eq!(pyyaml::read_own(data).as_ref(), Ok(&value));
            for keys in [Keys::AsGiven, Keys::Sorted] {
                let written = pyyaml::write(&value, keys);
                assert_eq!(pyyaml::read_own(written.as_bytes()).as_ref(), Ok(&value), "{written}");
            }
            assert!(!python::pformat(&value).is_empty());
            assert!(value.memory_size() >= size_of_val(&value));
        }
    }
}
