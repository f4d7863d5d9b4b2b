"""Write each mappings/**/schema.json and docs/schemas/settings.json, which tests compare with what they are made from."""

import argparse
from pathlib import Path

from optmap.mapping.schema import FOLDERS, schema_text
from optmap.mapping.stored import default_directory
from optmap.settings_schema import text

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for folder in FOLDERS:
        default_directory().joinpath(folder, "schema.json").write_text(schema_text(folder), encoding="utf-8")
    Path(__file__).parent.parent.joinpath("docs/schemas/settings.json").write_text(text(), encoding="utf-8")
