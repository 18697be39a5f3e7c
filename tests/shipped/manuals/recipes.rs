//! The page of the recipes, from the document that has them, for people who read manuals.
//!
//! Of Markdown it knows what that document uses: headings, paragraphs, blocks of code, words of code and links.

const HEAD: &str = r#".TH LOOPKDC-RECIPES 7 "" "loopkdc" "Miscellaneous Information"
.SH NAME
loopkdc-recipes \- loopkdc with the KDC proxies and the programs that there are
.SH DESCRIPTION
"#;

/// The page up to its last sections.
pub(super) fn page(document: &str) -> String {
    let (_title, document) = document.split_once("\n\n").unwrap();
    let mut page = HEAD.to_owned();
    // An empty line came since the last paragraph or block.
    let mut ended = false;
    let mut is_code = false;
    for line in document.lines() {
        let is_fence = line.starts_with("```");
        if is_code && !is_fence {
            page += &format!("{}\n", escaped(line));
        } else if line.is_empty() {
            ended = !is_heading(page.lines().last());
        } else if let Some(title) = line.strip_prefix("## ") {
            page += &format!(".SH {}\n", title.to_uppercase());
        } else if let Some(title) = line.strip_prefix("### ") {
            page += &format!(".SS {}\n", escaped(title));
        } else {
            if ended {
                page += ".PP\n";
            }
            ended = false;
            if is_fence {
                page += if is_code { ".fi\n" } else { ".nf\n" };
                is_code = !is_code;
            } else {
                page += &format!("{}\n", words(line));
            }
        }
    }
    page
}

fn is_heading(line: Option<&str>) -> bool {
    line.is_some_and(|line| line.starts_with(".SH ") || line.starts_with(".SS "))
}

/// A line of a paragraph: code is bold, and of a link its text is left.
fn words(line: &str) -> String {
    let mut text = String::new();
    for (index, part) in line.split('`').enumerate() {
        if index % 2 == 1 {
            text += &format!("\\fB{}\\fR", escaped(part));
        } else {
            text += &escaped(&without_links(part));
        }
    }
    text
}

fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap().replace('[', "");
    for part in parts {
        let (_target, rest) = part.split_once(')').unwrap();
        plain += &rest.replace('[', "");
    }
    plain
}

/// What groff(7) shows as this text.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let text = text.replace('\'', "\\(aq");
    if text.starts_with('.') {
        format!("\\&{text}")
    } else {
        text
    }
}

#[test]
fn a_document_becomes_a_page() {
    let document = "\
# Recipes

Set `a-b = 'c'` as under [Secrets](#secrets).
.hidden

## Programs

### ssh

Say:

```
ssh -K \\
    host
```

Then go.
";
    let page = page(document);
    let expected = "\
Set \\fBa\\-b = \\(aqc\\(aq\\fR as under Secrets.
\\&.hidden
.SH PROGRAMS
.SS ssh
Say:
.PP
.nf
ssh \\-K \\e
    host
.fi
.PP
Then go.
";
    assert_eq!(page.strip_prefix(HEAD), Some(expected));
}
