//! A line plot as SVG: one line per series over the numbers of shards.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 55.0;
/// Distance between the points of two lines at one tick.
const SHIFT: f64 = 5.0;
/// The smallest mark of the y-axis.
const FLOOR: f64 = 1e-4;
/// Half the width of the cap of a bar.
const CAP: f64 = 3.0;
/// Colours that people with colour blindness tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// One line.
pub struct Series {
    /// Its name.
    pub name: String,
    /// One point per tick of the x-axis.
    pub points: Vec<Point>,
    /// Whether it is drawn dashed.
    pub is_dashed: bool,
}

/// One point of a line, with a bar that says how far it may be off.
pub struct Point {
    /// The value.
    pub value: f64,
    /// The smallest that was measured.
    pub min: f64,
    /// The largest that was measured.
    pub max: f64,
}

/// What is drawn.
pub struct Plot<'a> {
    /// The heading.
    pub title: &'a str,
    /// A line below it in small letters.
    pub note: &'a str,
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
        let scale = Scale::of(&self.series);
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>"##
        );
        text(&mut svg, [LEFT, 26.0], "start", "font-weight=\"600\" font-size=\"16\"", self.title);
        text(&mut svg, [LEFT, 43.0], "start", "fill=\"#444\" font-size=\"12\"", self.note);
        self.draw_axes(&mut svg, scale);
        for (at, series) in self.series.iter().enumerate() {
            self.draw_series(&mut svg, at, series, scale);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, tick: usize) -> f64 {
        let gaps = self.ticks.len().saturating_sub(1).max(1);
        LEFT + 20.0 + (WIDTH - LEFT - RIGHT - 40.0) * tick as f64 / gaps as f64
    }

    fn draw_axes(&self, svg: &mut String, scale: Scale) {
        for value in scale.marks() {
            let y = scale.y(value);
            let _ = write!(
                svg,
                r##"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/>"##,
                WIDTH - RIGHT
            );
            text(svg, [LEFT - 8.0, y + 4.0], "end", "fill=\"#444\"", &value.to_string());
        }
        for (tick, label) in self.ticks.iter().enumerate() {
            text(svg, [self.x(tick), HEIGHT - BOTTOM + 20.0], "middle", "fill=\"#444\"", label);
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(svg, [middle, HEIGHT - 12.0], "middle", "", self.x_label);
        let upright = format!("transform=\"rotate(-90 18 {0})\"", HEIGHT / 2.0);
        text(svg, [18.0, HEIGHT / 2.0], "middle", &upright, self.y_label);
    }

    fn draw_series(&self, svg: &mut String, at: usize, series: &Series, scale: Scale) {
        let colour = COLOURS[at % COLOURS.len()];
        let dash = if series.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        // Beside each other, so that bars of different lines do not hide one another.
        let shift = SHIFT * (at as f64 - (self.series.len() as f64 - 1.0) / 2.0);
        let x = |tick| self.x(tick) + shift;
        let point = |(tick, point): (usize, &Point)| format!("{:.1},{:.1}", x(tick), scale.y(point.value));
        let points: Vec<String> = series.points.iter().enumerate().map(point).collect();
        let _ = write!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>"#,
            points.join(" ")
        );
        for (tick, point) in series.points.iter().enumerate() {
            draw_point(svg, x(tick), point, scale, colour);
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

/// The y-axis: logarithmic, because the slowest of a hundred queries may take a hundred times as long as most.
#[derive(Clone, Copy)]
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// From the mark below everything to the mark above.
    fn of(series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        // Where nothing is drawn it is infinite.
        let least = points().map(|point| point.min).fold(f64::INFINITY, f64::min);
        let most = points().map(|point| point.max).fold(FLOOR, f64::max);
        let marks = marks();
        let below = marks.iter().rev().find(|mark| **mark <= least.min(most));
        let least = below.copied().unwrap_or(FLOOR);
        let above = marks.iter().find(|mark| **mark >= most && **mark > least);
        Self { least, most: above.copied().unwrap_or(most) }
    }

    fn marks(self) -> impl Iterator<Item = f64> {
        marks().into_iter().filter(move |mark| (self.least..=self.most).contains(mark))
    }

    fn y(self, value: f64) -> f64 {
        let share = (value.max(self.least) / self.least).ln() / (self.most / self.least).ln();
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    }
}

/// 1, 2 and 5 times the powers of ten from the floor to a million.
fn marks() -> Vec<f64> {
    let powers = (0..=10).map(|power| 10_f64.powi(power));
    // Divided, not multiplied by a fraction, so that 0.002 is written as such.
    powers.flat_map(|power| [power, 2.0 * power, 5.0 * power].map(|mark| mark / 1e4)).collect()
}

/// A dot, and a bar with a cap at each end.
fn draw_point(svg: &mut String, x: f64, point: &Point, scale: Scale, colour: &str) {
    let (top, bottom) = (scale.y(point.max), scale.y(point.min));
    for ([x1, x2], [y1, y2]) in
        [([x, x], [top, bottom]), ([x - CAP, x + CAP], [top, top]), ([x - CAP, x + CAP], [bottom, bottom])]
    {
        let _ = write!(
            svg,
            r#"<line x1="{x1:.1}" x2="{x2:.1}" y1="{y1:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="1.2"/>"#
        );
    }
    let cy = scale.y(point.value);
    let _ = write!(svg, r#"<circle cx="{x:.1}" cy="{cy:.1}" r="3" fill="{colour}"/>"#);
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, more: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {more}>{content}</text>"#);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<Point>) -> String {
        let ticks = points.iter().map(|point| point.value.to_string()).collect();
        let series = vec![Series { name: "a < b".into(), points, is_dashed: false }];
        Plot { title: "title", note: "note", x_label: "x", y_label: "y", ticks, series }.to_svg()
    }

    #[test]
    fn the_axis_reaches_from_the_mark_below_everything_to_the_mark_above() {
        let point = |min, value, max| Point { value, min, max };
        let of = |points| Scale::of(&[Series { name: String::new(), points, is_dashed: true }]);
        let scale = of(vec![point(0.03, 0.05, 0.06), point(1.0, 3.0, 7.2)]);
        assert_eq!(scale.marks().collect::<Vec<_>>(), [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert!(scale.y(0.02) > scale.y(0.05) && scale.y(10.0) >= TOP && scale.y(0.02) <= HEIGHT - BOTTOM);
        // A single value has room on both sides, and nothing at all is no reason to divide by zero.
        for points in [vec![point(1.0, 1.0, 1.0)], vec![point(0.0, 0.0, 0.0)], vec![]] {
            let scale = of(points);
            assert!(scale.y(1.0).is_finite() && scale.least < scale.most, "{} {}", scale.least, scale.most);
        }
    }

    #[test]
    fn every_point_has_a_dot_and_a_bar_and_names_are_escaped() {
        let svg =
            plot(vec![Point { value: 1.0, min: 0.5, max: 2.0 }, Point { value: 2.0, min: 2.0, max: 2.0 }]);
        assert_eq!((svg.matches("<circle").count(), svg.matches("stroke-width=\"1.2\"").count()), (2, 6));
        assert!(svg.contains("a &lt; b") && svg.contains(">note<") && !svg.contains("NaN"), "{svg}");
    }
}
