//! PNG files.

use crate::error::Failure;

/// Pixels of 8 bits each for red, green and blue, row by row, as a PNG file; `per_metre` is how many lie on a metre.
pub(crate) fn encoded(
    rgb: &[u8],
    width: u32,
    height: u32,
    per_metre: Option<u32>,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    encoder.set_pixel_dims(per_metre.map(|n| png::PixelDimensions {
        xppu: n,
        yppu: n,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}
