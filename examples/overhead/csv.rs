//! Every size of every table, for those who want to compute on.

use std::fmt::Write;

use zsalloc::overhead::of_class;
use zsalloc::size_class;

use crate::locks;
use crate::tables::{CHAIN_SIZES, PAGE_SIZES};

/// One line per raw class: the longest object of the raw class, what serves it, and what it pays for
/// a lock of each size.
pub(crate) fn rows() -> String {
    let sizes = locks::sizes(&locks::candidates());
    let mut text =
        String::from("page_size,chain_size,length,class,pages_per_zspage,objects_per_zspage");
    for bytes in &sizes {
        let _ = write!(text, ",lock_{bytes}");
    }
    text.push('\n');
    for page_size in PAGE_SIZES {
        for chain in CHAIN_SIZES {
            for (index, class) in size_class::table(page_size, chain).iter().enumerate() {
                let length = (32 + index * page_size / 256).min(page_size);
                let _ = write!(
                    text,
                    "{page_size},{chain},{length},{},{},{}",
                    class.size(),
                    class.pages_per_zspage(),
                    class.objects_per_zspage()
                );
                for bytes in &sizes {
                    let _ = write!(text, ",{:.6}", of_class(class, *bytes));
                }
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_every_table_has_a_line_that_fits_its_class() {
        let text = rows();
        let mut lines = text.lines();
        let columns = lines.next().unwrap().split(',').count();
        let mut count = 0;
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), columns);
            let [page_size, chain, length, class] =
                [0, 1, 2, 3].map(|i| cells[i].parse::<usize>().unwrap());
            assert!(
                length <= class && class <= page_size && chain <= 16,
                "{line}"
            );
            count += 1;
        }
        assert_eq!(count, 3 * 255 + 6 * 257);
    }
}
