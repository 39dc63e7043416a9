"""Parse and render recipe.yaml as rattler-build does, for some platforms, with the pins that conda-forge adds.

    python conda/check_recipe.py     needs py-rattler-build, and no network: nothing is solved, downloaded or built

An unknown key, a template that cannot be rendered or a selector that leaves nothing to build is an error.
"""

from pathlib import Path

from rattler_build import PlatformConfig, RenderConfig, Stage0Recipe, VariantConfig

RECIPE = Path(__file__).resolve().with_name("recipe.yaml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
COMPILERS = {
    "linux-64": ("gcc", "sysroot"),
    "linux-aarch64": ("gcc", "sysroot"),
    "osx-arm64": ("clang", "macosx_deployment_target"),
    "win-64": ("vs2022", "vs"),
}


def rendered(platform: str, pythons: list[str]) -> list[dict]:
    """One recipe for each Python, without templates and conditions."""
    compiler, stdlib = COMPILERS[platform]
    variants = VariantConfig({"python": pythons, "c_compiler": [compiler], "c_stdlib": [stdlib]})
    config = RenderConfig(platform=PlatformConfig(target_platform=platform))
    return [variant.recipe.to_dict() for variant in Stage0Recipe.from_file(RECIPE).render(variants, config)]


def main() -> None:
    for platform in COMPILERS:
        recipes = rendered(platform, PYTHONS)
        if len(recipes) != len(PYTHONS):
            raise SystemExit(f"{platform}: {len(recipes)} recipes for {len(PYTHONS)} Pythons")
        print(f"{platform}: {len(recipes)} recipes")


if __name__ == "__main__":
    main()
