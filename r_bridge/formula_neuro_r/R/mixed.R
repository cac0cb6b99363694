# lmer and glmer, of lme4 and of lmerTest.

fit_lmer <- function(arguments) {
  need("lme4")
  mixed(run(quote(lme4::lmer), arguments, list(REML = arguments$reml)))
}

fit_lmertest <- function(arguments) {
  need("lmerTest")
  mixed(run(quote(lmerTest::lmer), arguments, list(REML = arguments$reml)))
}

fit_glmer <- function(arguments) {
  need("lme4")
  mixed(run(quote(lme4::glmer), arguments, list(family = model_family(arguments), nAGQ = arguments$nodes)))
}

# Degrees of freedom of each row of `contrasts` (q, p), whose columns are named.
degrees <- function(arguments) {
  need(c("lmerTest", if (arguments$method == "Kenward-Roger") "pbkrtest"))
  model <- run(quote(lmerTest::lmer), arguments, list(REML = arguments$reml))
  rows <- arguments$rows_of[, match(names(lme4::fixef(model)), arguments$columns_of), drop = FALSE]
  one <- function(i) lmerTest::contest1D(model, rows[i, ], ddf = arguments$method)$df
  list(df = as.double(vapply(seq_len(nrow(rows)), one, 0)))
}

mixed <- function(model) {
  all <- lme4::fixef(model, add.dropped = TRUE)
  kept <- lme4::fixef(model)
  conv <- model@optinfo$conv
  reml <- lme4::isREML(model)
  c(likelihood(model), list(
    names = named(all), beta = as.double(all), kept = named(kept),
    covariance = unname(as.matrix(stats::vcov(model))),
    matrix = unname(as.matrix(lme4::getME(model, "X"))), columns = named(kept),
    deviance = as.double(if (reml) lme4::REMLcrit(model) else stats::deviance(model)),
    df_resid = as.double(stats::df.residual(model)), sigma = stats::sigma(model),
    eta = as.double(if (lme4::isGLMM(model)) model@resp$eta else stats::fitted(model)),
    # a code below 0 is lme4's own complaint; a singular fit has none
    converged = identical(as.integer(conv$opt), 0L) && !any(unlist(conv$lme4$code) < 0),
    iterations = as.double(max(model@optinfo$feval, 0, na.rm = TRUE)),
    theta = as.double(lme4::getME(model, "theta")), random = random_terms(model)
  ))
}

# One item a term, in lme4's order. Terms that share a grouping factor are kept apart, where ranef() joins them.
random_terms <- function(model) {
  labels <- lme4::getME(model, "cnms")
  factors <- lme4::getME(model, "flist")
  owner <- attr(factors, "assign")
  start <- lme4::getME(model, "Gp")
  effects <- as.double(lme4::getME(model, "b"))
  spread <- lme4::VarCorr(model)
  joined <- lme4::ranef(model, condVar = TRUE)
  lapply(seq_along(labels), function(k) {
    groups <- factors[[owner[k]]]
    about <- attr(joined[[names(factors)[owner[k]]]], "postVar")
    if (is.list(about)) about <- about[[match(k, which(owner == owner[k]))]]
    list(group = names(labels)[k], columns = labels[[k]], levels = levels(groups), codes = as.integer(groups),
         covariance = matrix(as.double(spread[[k]]), length(labels[[k]])),
         modes = matrix(effects[(start[k] + 1):start[k + 1]], length(labels[[k]])),
         about = as.double(about))
  })
}

# The matrices alone, unfitted: X, and Z' as its columns of pointers, rows and values.
matrices <- function(arguments) {
  need("lme4")
  parts <- if (arguments$family == "gaussian" && arguments$link == "identity") {
    run(quote(lme4::lFormula), arguments)
  } else {
    run(quote(lme4::glFormula), arguments, list(family = model_family(arguments)))
  }
  Zt <- parts$reTrms$Zt
  list(matrix = unname(parts$X), columns = colnames(parts$X), pointers = Zt@p, indices = Zt@i, values = Zt@x,
       levels = as.double(nrow(Zt)), groups = names(parts$reTrms$cnms))
}
