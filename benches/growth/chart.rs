//! A chart of lines as SVG, readable on a light and on a dark page.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What a chart shows.
pub struct Plot {
    pub x_title: &'static str,
    pub y_title: &'static str,
    /// The positions on the horizontal axis, with their labels.
    pub sizes: Vec<(f64, String)>,
    pub lines: Vec<Line>,
}

/// One line, with a value for each size.
pub struct Line {
    pub name: String,
    pub values: Vec<f64>,
}

const SIZE: (u32, u32) = (720, 360);

/// Colours that stand out on white and on black.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x21, 0x7d, 0xd6),
    RGBColor(0xd9, 0x6b, 0x00),
    RGBColor(0x2a, 0x9d, 0x4f),
    RGBColor(0xc0, 0x4c, 0xc0),
    RGBColor(0xd0, 0x3a, 0x4a),
    RGBColor(0x8a, 0x7a, 0x50),
];

/// Black and white change places where the reader prefers dark pages. The background is part of the chart, so that its text is
/// readable whatever the page around it does.
const STYLE: &str = "<style>@media (prefers-color-scheme: dark) { \
    [fill=\"#000000\"] { fill: #e6edf3 } [stroke=\"#000000\"] { stroke: #e6edf3 } [fill=\"#FFFFFF\"] { fill: #0d1117 } }</style>";

/// Values that are more than this factor apart are drawn on a logarithmic axis.
const FAR_APART: f64 = 20.0;

/// The vertical axis.
struct Scale {
    is_logarithmic: bool,
    lowest: f64,
    highest: f64,
}

impl Scale {
    fn of(lines: &[Line]) -> Self {
        let values = || lines.iter().flat_map(|line| line.values.iter().copied());
        let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
        if most > FAR_APART * least {
            let (lowest, highest) = (least.log10().floor(), most.log10().ceil());
            Self { is_logarithmic: true, lowest, highest }
        } else {
            Self { is_logarithmic: false, lowest: 0.0, highest: most.max(1.0) * 1.25 }
        }
    }

    fn position(&self, value: f64) -> f64 {
        if self.is_logarithmic { value.log10() } else { value }
    }

    fn label(&self, position: f64) -> String {
        let value = if self.is_logarithmic { 10_f64.powf(position) } else { position };
        // As short as it is exact enough.
        format!("{}", (value * 1e4).round() / 1e4)
    }

    fn labels(&self) -> usize {
        // A label for each power of ten, which the range of the axis limits to a few.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let powers = (self.highest - self.lowest) as usize + 1;
        if self.is_logarithmic { powers } else { 6 }
    }
}

/// Draw a chart.
///
/// # Panics
/// If it has no sizes; drawing into memory does not fail.
pub fn draw(plot: &Plot) -> String {
    let mut svg = String::new();
    let scale = Scale::of(&plot.lines);
    draw_on(SVGBackend::with_string(&mut svg, SIZE), plot, &scale).expect("drawn in memory");
    let end = svg.find('>').expect("an SVG starts with a tag") + 1;
    svg.insert_str(end, &format!("\n{STYLE}"));
    svg
}

fn draw_on<'a>(
    backend: SVGBackend<'a>,
    plot: &Plot,
    scale: &Scale,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let (first, last) = (plot.sizes[0].0, plot.sizes[plot.sizes.len() - 1].0);
    let margin = (last - first) * 0.04;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(first - margin..last + margin, scale.lowest..scale.highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15))
        .x_labels(0)
        .y_labels(scale.labels())
        .y_label_formatter(&|position| scale.label(*position))
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 16))
        .x_desc(plot.x_title)
        .y_desc(plot.y_title)
        .draw()?;
    // plotters chooses round positions for labels; ours are those of the sizes.
    let below = TextStyle::from(("sans-serif", 15)).pos(Pos::new(HPos::Center, VPos::Top));
    for (at, label) in &plot.sizes {
        let (x, y) = chart.backend_coord(&(*at, scale.lowest));
        root.draw_text(label, &below, (x, y + 8))?;
    }
    for (line, colour) in plot.lines.iter().zip(COLOURS.iter().cycle()) {
        let points = || {
            let positions = plot.sizes.iter().map(|(at, _)| *at);
            positions.zip(line.values.iter().map(|value| scale.position(*value)))
        };
        let legend = |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(3));
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(&line.name)
            .legend(legend);
        chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.8))
        .border_style(TRANSPARENT)
        .draw()?;
    root.present()
}
