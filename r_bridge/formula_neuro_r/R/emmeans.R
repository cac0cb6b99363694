# Estimated marginal means by R's emmeans, of a model that is fitted again.

marginal_means <- function(arguments) {
  need(c("emmeans", arguments$packages))
  model <- marginal_model(arguments)
  options <- list(model, specs = arguments$specs)
  if (length(arguments$by)) options$by <- arguments$by
  if (length(arguments$at)) options$at <- arguments$at
  if (arguments$df %in% c("satterthwaite", "kenward-roger")) options$lmer.df <- arguments$df
  if (arguments$df == "none") options$df <- Inf
  means <- do.call(emmeans::emmeans, options)
  list(means = as_table(means, arguments, "none"),
       contrasts = if (!is.null(arguments$contrast)) {
         method <- if (is.list(arguments$contrast)) arguments$contrast else as.character(arguments$contrast)
         as_table(emmeans::contrast(means, method), arguments, arguments$adjust)
       })
}

as_table <- function(found, arguments, adjust) {
  asked <- list(found, infer = c(TRUE, TRUE), type = arguments$type, level = arguments$level)
  if (!is.null(adjust)) asked$adjust <- adjust
  table <- as.data.frame(do.call(summary, asked))
  lapply(as.list(table), from_column)
}

marginal_model <- function(arguments) {
  mixed_family <- function() list(family = model_family(arguments))
  switch(arguments$fitter,
    "r-lm" = run(quote(stats::lm), arguments),
    "r-glm" = run(quote(stats::glm), arguments, mixed_family()),
    lme4 = , lmerTest = if (isTRUE(arguments$generalized)) {
      run(quote(lme4::glmer), arguments, c(mixed_family(), list(nAGQ = arguments$nodes)))
    } else run(quote(lme4::lmer), arguments, list(REML = arguments$reml)),
    glmmTMB = run(quote(glmmTMB::glmmTMB), arguments, c(mixed_family(), list(REML = isTRUE(arguments$reml))))
  )
}
