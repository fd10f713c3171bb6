//! A line plot as SVG: one line per series over the numbers of shards.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;
/// Colours that people with colour blindness tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// One line.
pub struct Series {
    /// Its name.
    pub name: String,
    /// One value per tick of the x-axis.
    pub values: Vec<f64>,
    /// Whether it is drawn dashed.
    pub is_dashed: bool,
}

/// What is drawn.
pub struct Plot<'a> {
    /// The heading.
    pub title: &'a str,
    /// What the x-axis counts.
    pub x_label: &'a str,
    /// What the y-axis measures.
    pub y_label: &'a str,
    /// The x-axis' ticks, evenly spaced.
    pub ticks: Vec<String>,
    /// The lines.
    pub series: Vec<Series>,
}

impl Plot<'_> {
    /// The plot as an SVG document.
    pub fn to_svg(&self) -> String {
        let values = self.series.iter().flat_map(|series| &series.values);
        let step = nice_step(values.copied().fold(0.0, f64::max) / 5.0);
        let most = (values_max(&self.series) / step).ceil().max(1.0) * step;
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>"##
        );
        text(&mut svg, [LEFT, 26.0], "start", "font-weight=\"600\" font-size=\"16\"", self.title);
        self.draw_axes(&mut svg, step, most);
        for (at, series) in self.series.iter().enumerate() {
            self.draw_series(&mut svg, at, series, most);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, tick: usize) -> f64 {
        let gaps = self.ticks.len().saturating_sub(1).max(1);
        LEFT + 20.0 + (WIDTH - LEFT - RIGHT - 40.0) * tick as f64 / gaps as f64
    }

    fn draw_axes(&self, svg: &mut String, step: f64, most: f64) {
        let lines = (most / step).round() as usize;
        for line in 0..=lines {
            let value = step * line as f64;
            let y = y(value, most);
            let _ = write!(
                svg,
                r##"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/>"##,
                WIDTH - RIGHT
            );
            let decimals = if step < 0.1 { 2 } else { usize::from(step < 1.0) };
            text(svg, [LEFT - 8.0, y + 4.0], "end", "fill=\"#444\"", &format!("{value:.decimals$}"));
        }
        for (tick, label) in self.ticks.iter().enumerate() {
            text(svg, [self.x(tick), HEIGHT - BOTTOM + 20.0], "middle", "fill=\"#444\"", label);
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(svg, [middle, HEIGHT - 12.0], "middle", "", self.x_label);
        let upright = format!("transform=\"rotate(-90 18 {0})\"", HEIGHT / 2.0);
        text(svg, [18.0, HEIGHT / 2.0], "middle", &upright, self.y_label);
    }

    fn draw_series(&self, svg: &mut String, at: usize, series: &Series, most: f64) {
        let colour = COLOURS[at % COLOURS.len()];
        let dash = if series.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let point = |(tick, value): (usize, &f64)| format!("{:.1},{:.1}", self.x(tick), y(*value, most));
        let points: Vec<String> = series.values.iter().enumerate().map(point).collect();
        let _ = write!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>"#,
            points.join(" ")
        );
        for (tick, value) in series.values.iter().enumerate() {
            let _ = write!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"/>"#,
                self.x(tick),
                y(*value, most)
            );
        }
        // Names stand in a list, because lines that end close together would write over each other's.
        let (x, top) = (WIDTH - RIGHT + 14.0, TOP + 18.0 * at as f64);
        let _ = write!(
            svg,
            r#"<line x1="{x}" x2="{}" y1="{top}" y2="{top}" stroke="{colour}" stroke-width="2"{dash}/>"#,
            x + 22.0
        );
        text(svg, [x + 28.0, top + 4.0], "start", "", &series.name);
    }
}

fn values_max(series: &[Series]) -> f64 {
    series.iter().flat_map(|series| &series.values).copied().fold(0.0, f64::max)
}

fn y(value: f64, most: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most
}

/// 1, 2 or 5 times a power of ten, at least `wanted`.
fn nice_step(wanted: f64) -> f64 {
    let wanted = wanted.max(1e-6);
    let power = 10_f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= wanted * 0.999)
        .unwrap_or(power)
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, more: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {more}>{content}</text>"#);
}

#[cfg(test)]
mod tests {
    use super::nice_step;

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!(
            [nice_step(0.3), nice_step(1.0), nice_step(7.2), nice_step(130.0)],
            [0.5, 1.0, 10.0, 200.0]
        );
    }
}
