//! The report as one page that needs nothing beside it: no script, no font, no network.

use std::fmt::Write as _;

use super::summary::{Bucket, History, TableHistory};

const CHART_WIDTH: f64 = 960.0;
const CHART_HEIGHT: f64 = 180.0;
/// Room below the bars for the times.
const AXIS_HEIGHT: f64 = 24.0;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2330}\
h1{font-size:1.5rem}h2{margin-top:2.5rem;border-top:1px solid #d5dae3;padding-top:1rem}\
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.75rem;margin:1rem 0}\
.facts div{background:#f4f6fa;border-radius:.4rem;padding:.5rem .75rem}\
.facts b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}\
.facts span,.note{color:#5b6577;font-size:.85rem}\
table{border-collapse:collapse;margin:.5rem 0;font-size:.9rem}\
td,th{border-bottom:1px solid #e3e7ee;padding:.2rem .75rem .2rem 0;text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
svg{max-width:100%;height:auto}.i{fill:#2f9e69}.u{fill:#3b73c8}.d{fill:#d0524a}\
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin:0 .3rem 0 1rem;vertical-align:-.05rem}\
.warn{color:#a24600}\
@media(prefers-color-scheme:dark){body{background:#14181f;color:#dde3ee}.facts div{background:#1f2530}\
h2{border-color:#333c4a}td,th{border-color:#2a313d}.facts span,.note{color:#98a3b5}.warn{color:#ffb26b}}";

/// The report as a page.
pub fn page(history: &History) -> String {
    let mut page = String::with_capacity(16 * 1024);
    let (database, at) = (escape(&history.database), escape(&history.reported_at));
    push(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>History of {database}</title><style>{STYLE}</style></head><body>\n\
             <h1>History of {database}</h1>\n<p class=\"note\">Reported {at} UTC; all times are UTC.</p>\n"
        ),
    );
    for table in &history.tables {
        section(&mut page, table);
    }
    page.push_str("</body></html>\n");
    page
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(text);
}

fn section(page: &mut String, table: &TableHistory) {
    let keys = table.keys.join(", ");
    push(
        page,
        format_args!(
            "<h2>{}</h2>\n<p class=\"note\">Topic {}; key {}; ordered by {}; timed by {}.</p>\n",
            escape(&table.table),
            escape(&table.topic),
            escape(&keys),
            escape(table.order.as_deref().unwrap_or("nothing yet")),
            escape(table.time.as_deref().unwrap_or("nothing yet")),
        ),
    );
    page.push_str("<div class=\"facts\">");
    for (what, value) in [
        ("keys live", table.keys_live.to_string()),
        ("keys deleted", table.keys_deleted.to_string()),
        ("keys inserted again", table.keys_reinserted.to_string()),
        ("versions", table.versions.to_string()),
        ("versions a key", format!("{:.2}", table.versions_per_key_mean)),
        ("objects read", table.objects.to_string()),
        ("rows read", table.rows_read.to_string()),
        ("delivered again", table.duplicates.to_string()),
        ("changed nothing", table.unchanged.to_string()),
    ] {
        push(page, format_args!("<div><b>{value}</b><span>{what}</span></div>"));
    }
    page.push_str("</div>\n");
    if let (Some(first), Some(last)) = (&table.first_event, &table.last_event) {
        push(page, format_args!("<p>Changes from {} to {}.</p>\n", escape(first), escape(last)));
    }
    chart(page, table);
    warnings(page, table);
    lists(page, table);
}

fn chart(page: &mut String, table: &TableHistory) {
    let total = |bucket: &Bucket| bucket.inserted + bucket.updated + bucket.deleted;
    let highest = table.changes_over_time.iter().map(total).max().unwrap_or(0);
    if highest == 0 {
        return;
    }
    push(
        page,
        format_args!(
            "<h3>Changes over time</h3>\n<p class=\"note\">One bar for {}; the highest has {highest}.\
             <span class=\"key\" style=\"background:#2f9e69\"></span>inserted\
             <span class=\"key\" style=\"background:#3b73c8\"></span>updated\
             <span class=\"key\" style=\"background:#d0524a\"></span>deleted</p>\n\
             <svg viewBox=\"0 0 {CHART_WIDTH} {}\" role=\"img\" aria-label=\"Changes over time\">",
            width_text(table.bucket_seconds),
            CHART_HEIGHT + AXIS_HEIGHT
        ),
    );
    let count = table.changes_over_time.len();
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let (step, scale) = (CHART_WIDTH / count.max(12) as f64, CHART_HEIGHT / highest as f64);
    for (index, bucket) in table.changes_over_time.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let x = step * index as f64;
        let mut top = CHART_HEIGHT;
        push(
            page,
            format_args!(
                "<g><title>{}: {} inserted, {} updated, {} deleted</title>",
                escape(&bucket.from),
                bucket.inserted,
                bucket.updated,
                bucket.deleted
            ),
        );
        for (class, number) in
            [("i", bucket.inserted), ("u", bucket.updated), ("d", bucket.deleted)]
        {
            #[expect(clippy::cast_precision_loss, reason = "pixels")]
            let height = number as f64 * scale;
            top -= height;
            if 0 < number {
                push(
                    page,
                    format_args!(
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                        (step - 1.0).max(0.5)
                    ),
                );
            }
        }
        page.push_str("</g>");
    }
    let ends = [table.changes_over_time.first(), table.changes_over_time.last()];
    for (bucket, x, anchor) in [
        (ends[0], 0.0, "start"),
        (ends[1].filter(|_| 1 < count), step * f64::from(u32::try_from(count).unwrap_or(1)), "end"),
    ] {
        if let Some(bucket) = bucket {
            push(
                page,
                format_args!(
                    "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"12\" fill=\"currentColor\">{}</text>",
                    CHART_HEIGHT + 17.0,
                    escape(&bucket.from)
                ),
            );
        }
    }
    page.push_str("</svg>\n");
}

fn width_text(seconds: i64) -> String {
    for (unit, name) in [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")] {
        if 0 < seconds && seconds % unit == 0 {
            let count = seconds / unit;
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    "all".into()
}

fn warnings(page: &mut String, table: &TableHistory) {
    let mut found = Vec::new();
    if table.time_is_approximate {
        found.push("Times are those of objects: as_of is exact only between objects.".to_owned());
    }
    if 0 < table.unresolved_toast {
        found.push(format!(
            "{} versions show NULL for a value that the source did not repeat.",
            table.unresolved_toast
        ));
    }
    for gap in &table.offset_gaps {
        found.push(format!(
            "Partition {}: expected offset {}, got {} after {}.",
            gap.partition, gap.expected, gap.got, gap.after
        ));
    }
    for reject in &table.rejects {
        found.push(format!("{} rows set aside: {}.", reject.rows, reject.reason));
    }
    if !found.is_empty() {
        page.push_str("<h3>To look at</h3>\n<ul class=\"warn\">");
        for text in found {
            push(page, format_args!("<li>{}</li>", escape(&text)));
        }
        page.push_str("</ul>\n");
    }
}

fn lists(page: &mut String, table: &TableHistory) {
    if !table.most_changed.is_empty() {
        page.push_str(
            "<h3>Most changed</h3>\n<table><tr><th>key</th><th class=\"n\">versions</th></tr>",
        );
        for key in &table.most_changed {
            push(
                page,
                format_args!(
                    "<tr><td>{}</td><td class=\"n\">{}</td></tr>",
                    escape(&key.key),
                    key.versions
                ),
            );
        }
        page.push_str("</table>\n");
    }
    if !table.schema_changes.is_empty() {
        page.push_str(
            "<h3>Schema</h3>\n<table><tr><th>column</th><th>change</th><th>object</th></tr>",
        );
        for change in &table.schema_changes {
            push(
                page,
                format_args!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escape(&change.column),
                    escape(&change.change),
                    escape(change.object.as_deref().unwrap_or_default())
                ),
            );
        }
        page.push_str("</table>\n");
    }
}

/// Text between tags or in a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let table = TableHistory {
            table: "<script>".into(),
            changes_over_time: vec![Bucket {
                from: "a\"b".into(),
                inserted: 2,
                ..Bucket::default()
            }],
            bucket_seconds: 3_600,
            ..TableHistory::default()
        };
        let page = page(&History { tables: vec![table], ..History::default() });
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
        assert!(page.contains("a&quot;b") && page.contains("1 hour"), "{page}");
        for outside in ["http:", "https:", "url(", "src=", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
