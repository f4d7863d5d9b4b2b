"""Write the generated files of mappings/: schema.json and each compiled.json. Tests compare them with what they are made from."""

from optmap.mapping import around, compiled
from optmap.mapping.load import SCHEDULES, default_directory, load_files, own_files
from optmap.mapping.schema import schema_text

if __name__ == "__main__":
    directory = default_directory()
    directory.joinpath("schema.json").write_text(schema_text(), encoding="utf-8")
    for folder in ("", SCHEDULES):
        contents = own_files(folder)
        text = compiled.dump(load_files(contents), compiled.digest(contents))
        directory.joinpath(folder, compiled.NAME).write_text(text, encoding="utf-8")
    surroundings = around.own_files()
    patterns = around.build(surroundings)
    around.directory().joinpath(around.WORDS).write_text(around.words(patterns), encoding="utf-8")
    text = around.dump(patterns, compiled.digest(surroundings))
    around.directory().joinpath(around.NAME).write_text(text, encoding="utf-8")
