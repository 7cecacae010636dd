"""The Markdown page of a run: every case, ratios to huenet, what failed and why."""

from . import tables, training_table
from .tables import Results


def summary(results: Results) -> str:
    """The whole page."""
    parts = [f"# Benchmark: suite {results['suite']}", tables.where(results) + ".", _how(results)]
    if results.get("training"):
        parts += ["## Training step", training_table.table(results["training"]), training_table.about(results["training"])]
    for operator in dict.fromkeys(case["operator"] for case in results["cases"]):
        parts += [f"## {tables.title(operator)[0].upper()}{tables.title(operator)[1:]}", tables.operator_table(results, operator)]
    parts += ["## Errors against float64", errors(results), "## Not timed", failures(results)]
    parts += ["## Providers", tables.legend(results)]
    return "\n\n".join(parts) + "\n"


def _how(results: Results) -> str:
    machine, rates = results["machine"], results["rates"]
    ceilings = f"copy {rates['bandwidth'] / 1e9:,.0f} GB/s, float32 matrix product {rates['float32'] / 1e9:,.0f} GFLOP/s"
    text = (
        "Medians of forward and backward together, and peak memory beyond the inputs (result and gradients included); in "
        f"parentheses how many times what {tables.PROVIDERS[tables.ours(results)].title} takes. Providers without a gradient are "
        f"compared by their forward pass. Photos: {results['photos']}. Measured ceilings: {ceilings}. "
        f"The run took {results['seconds'] / 60:.1f} minutes."
    )
    if results.get("interrupted"):
        text += "\n\n**Interrupted**: not all cases of the suite are here."
    if machine["load"] is not None and machine["load"] > 0.5 * machine["cores"] and machine["device"] == "cpu":
        text += (
            f"\n\n**The machine was busy**: load {machine['load']} on {machine['cores']} cores when the run began. Ratios of "
            "providers hold better than times, as they take turns."
        )
    return text


def errors(results: Results) -> str:
    """The largest relative errors of each provider, over all its cases."""
    rows = []
    for name, provider in tables.PROVIDERS.items():
        found = [case["rows"][name]["error"] for case in results["cases"] if "error" in case["rows"].get(name, {})]
        if found:
            gradient = f"{max(error['gradient'] or 0.0 for error in found):.1e}" if provider.gradient else ""
            truth = "the specification" if provider.same else "itself"
            rows.append([provider.title, f"{max(error['result'] for error in found):.1e}", gradient, truth])
    return tables.markdown(["provider", "result", "gradient", "in float64"], rows)


def failures(results: Results) -> str:
    """A line for each case that a provider did not run, with the reason."""
    lines = [
        f"- {tables.PROVIDERS[name].title}, {case['operator']}, {case['label']}: {row['status']}: {row['reason']}"
        for case in results["cases"]
        for name, row in case["rows"].items()
        if row["status"] != "timed"
    ]
    return "\n".join(lines) or "Everything was."
