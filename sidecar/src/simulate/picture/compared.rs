//! What differs between two runs, above their drawings: a verdict, its reasons, and each number with its difference.
//!
//! The words and numbers are those of the text (`beside`); here they become a page.

use std::fmt::Write as _;

use outrigger_sim::study::{RowKind, Scenario, contrast};

use super::plot::escaped;
use super::rules;
use crate::simulate::Run;
use crate::simulate::beside::{Told, cells};

/// Services beyond so many that differ are left to the table below.
const MOST_ROWS: usize = 12;

/// The verdict and the table.
pub(super) fn html(scenario: &Scenario, [a, b]: [&Run; 2]) -> String {
    let trouble = scenario.trouble();
    let contrasts = contrast(&a.outcome, &b.outcome, trouble);
    let told = Told::of(&contrasts, trouble);
    let mut page = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        page,
        "<p class=\"verdict\">{}</p>\n<ul>",
        escaped(told.verdict)
    );
    for reason in &told.reasons {
        let _ = writeln!(page, "<li>{}</li>", escaped(reason));
    }
    let _ = writeln!(
        page,
        "</ul>\n<p>A: under {}. B: under {}.</p>",
        escaped(&rules(a)),
        escaped(&rules(b))
    );
    page.push_str(
        "<div class=\"compared\"><table><thead><tr><th></th><th></th><th>A</th><th>B</th><th>B - A</th><th></th></tr></thead><tbody>\n",
    );
    let mut services = 0;
    for contrast in &contrasts {
        let cells = cells(contrast);
        if contrast.a.kind == RowKind::Service {
            services += usize::from(!cells.is_empty());
            if services > MOST_ROWS {
                continue;
            }
        }
        for cell in cells {
            let [x, y] = cell.values.map(|value| escaped(&value));
            let _ = writeln!(
                page,
                "<tr><th>{}</th><td class=\"why\">{}</td><td>{x}</td><td>{y}</td><td>{}</td><td class=\"why\">{}</td></tr>",
                escaped(&contrast.a.name),
                escaped(&cell.metric),
                escaped(&cell.delta),
                cell.judged,
            );
        }
    }
    page.push_str("</tbody></table></div>\n");
    page
}
