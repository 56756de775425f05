"""Public data sets that can be fetched by name: where they are, what they weigh, and on which terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUPLENS = "https://files.grouplens.org/datasets"
RESEARCH_ONLY = "for non-commercial use, not to be passed on without permission; cite the publisher's paper"
SEE_README = "as stated in the README inside the archive"


@dataclass(frozen=True)
class Download:
    """One file to fetch. Sums are lower-case hex digests, absent where the publisher's are not known."""

    url: str
    size: int | None = None  # bytes
    checksums: Mapping[str, str] = field(default_factory=dict)  # algorithm -> digest

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A public data set: what to download, which files to take out, what they are for, on which terms."""

    name: str
    downloads: tuple[Download, ...]
    terms: str
    interactions: str  # file name, after unpacking
    items: str | None = None
    reading: str = ""  # flags that suit it
    needs_category: bool = False  # `{category}` in URL and file name is the user's choice

    def in_category(self, category: str) -> Source:
        """The data set of one category."""
        downloads = tuple(Download(d.url.format(category=category)) for d in self.downloads)
        return Source(
            name=f"{self.name}-{category}",
            downloads=downloads,
            terms=self.terms,
            interactions=self.interactions.format(category=category),
            reading=self.reading,
        )


def _grouplens(path: str, size: int | None = None, **checksums: str) -> tuple[Download, ...]:
    return (Download(f"{GROUPLENS}/{path}", size, checksums),)


SOURCES = {
    source.name: source
    for source in (
        Source(
            "ml-100k",
            _grouplens(
                "movielens/ml-100k.zip",
                4_924_029,
                md5="0e33842e24a9c977be4e0107933c0723",
                sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            ),
            RESEARCH_ONLY,
            "u.data",
            "u.item",
            "--like-threshold 4",
        ),
        Source(
            "ml-1m",
            _grouplens(
                "movielens/ml-1m.zip",
                5_917_549,
                md5="c4d9eecfca2ab87c1945afe126590906",
                sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
            ),
            RESEARCH_ONLY,
            "ratings.dat",
            "movies.dat",
            "--like-threshold 4",
        ),
        Source(
            "ml-20m",
            _grouplens(
                "movielens/ml-20m.zip",
                198_702_078,
                md5="cd245b17a1ae2cc31bb14903e1204af3",
                sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
            ),
            SEE_README,
            "ratings.csv",
            "movies.csv",
            "--like-threshold 4",
        ),
        Source(
            "ml-25m",
            _grouplens(
                "movielens/ml-25m.zip",
                261_978_986,
                md5="6b51fb2759a8657d3bfcbfc42b592ada",
                sha256="8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
            ),
            SEE_README,
            "ratings.csv",
            "movies.csv",
            "--like-threshold 4",
        ),
        Source(
            "ml-32m",
            _grouplens("movielens/ml-32m.zip", 238_950_008, md5="d472be332d4daa821edc399621853b57"),
            SEE_README,
            "ratings.csv",
            "movies.csv",
            "--like-threshold 4",
        ),
        Source(
            "movietweetings",
            (
                Download(
                    "https://raw.githubusercontent.com/sidooms/MovieTweetings/master/latest/ratings.dat"
                ),
                Download("https://raw.githubusercontent.com/sidooms/MovieTweetings/master/latest/movies.dat"),
            ),
            "MIT licence; it grows, so there is no checksum",
            "ratings.dat",
            "movies.dat",
            "--like-threshold 7",
        ),
        Source(
            "goodbooks-10k",
            (Download("https://github.com/zygmuntz/goodbooks-10k/releases/download/v1.0/goodbooks-10k.zip"),),
            "CC BY-SA 4.0; no checksum is published",
            "ratings.csv",
            "books.csv",
            "--like-threshold 4 --set split.method=random",
        ),
        Source(
            "amazon-reviews-2023",
            (
                Download(
                    "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/benchmark/0core/rating_only/"
                    "{category}.csv.gz"
                ),
            ),
            "its maintainers assign no licence; ask them before any use beyond research",
            "{category}.csv.gz",
            reading="--like-threshold 4",
            needs_category=True,
        ),
        Source(
            "lastfm-2k",
            _grouplens("hetrec2011/hetrec2011-lastfm-2k.zip", md5="296d61afe4e8632b173fc2dd3be20ce2"),
            "for non-commercial use",
            "user_artists.dat",
            "artists.dat",
            "--set split.method=random",
        ),
        Source(
            "lastfm-360k",
            (
                Download(
                    "https://zenodo.org/records/6090214/files/lastfm-dataset-360K.tar.gz",
                    569_202_935,
                    {"md5": "635e6ed3fc873aa4ba33aba0ebce02b1"},
                ),
            ),
            "for non-commercial use",
            "usersha1-artmbid-artname-plays.tsv",
            reading="--set split.method=random",
        ),
    )
}
