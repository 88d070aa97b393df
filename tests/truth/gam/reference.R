# Reference numbers for nearkin.statistics from R's mgcv and emmeans.
#   Rscript reference.R        in this folder; rewrites fit.csv anova.csv smooths.csv means.csv contrasts.csv (about 3 minutes)
suppressMessages({library(mgcv); library(emmeans)})
options(contrasts = c("contr.sum", "contr.poly"))
origin <- sprintf("# Rscript reference.R; %s, mgcv %s, emmeans %s", R.version.string, packageVersion("mgcv"), packageVersion("emmeans"))
tables <- list()
keep <- function(.table, .model, ...) tables[[.table]] <<- rbind(if (.table %in% names(tables)) tables[[.table]], data.frame(model = .model, ...))

# A level's mean over its cells' own magnitudes: equal weight for every cell and every row in it.
own <- function(m, d, factor, level) {
  weight <- rep(0, nrow(d)); cells <- unique(d$cell[d[[factor]] == level])
  for (cell in cells) { i <- which(d$cell == cell); weight[i] <- 1 / length(i) / length(cells) }
  L <- as.numeric(weight %*% predict(m, type = "lpmatrix"))
  c(mean = sum(L * coef(m)), se = sqrt(sum(L * (vcov(m) %*% L))))
}

study <- function(model, data, bs = "ps", select = FALSE) {
  d <- read.csv(gzfile(paste0(data, ".csv.gz")))
  if (model == "corner") d <- subset(d, !(task == "IR" & encoder == "DEN" & transform == "PS"))
  if (grepl("pair", model)) d <- subset(d, task == "AT")
  if (model == "single") d <- subset(d, task == "AT" & encoder == "VGG")
  for (f in c("task", "encoder", "transform")) d[[f]] <- factor(d[[f]])
  if (model == "single") {
    factors <- "transform"; d$cell <- d$transform
    formula <- y ~ transform + s(mag, by = transform, bs = bs, k = 8)
  } else if (grepl("pair", model)) {
    factors <- c("encoder", "transform"); d$cell <- interaction(d$encoder, d$transform, drop = TRUE)
    formula <- y ~ encoder * transform + s(mag, by = cell, bs = bs, k = 8)
  } else {
    factors <- c("task", "encoder", "transform")
    d$cell <- interaction(d$task, d$encoder, d$transform, drop = TRUE)
    formula <- y ~ task * encoder + task * transform + encoder * transform + s(mag, by = cell, bs = bs, k = 8)
  }
  environment(formula) <- environment()
  m <- gam(formula, data = d, method = "REML", select = select); s <- summary(m)
  keep("fit", model, n = nrow(d), r2 = s$dev.expl, r2_adj = s$r.sq, scale = m$sig2, edf = sum(m$edf), residual_df = m$df.residual, reml = m$gcv.ubre)
  a <- anova(m)$pTerms.table
  keep("anova", model, term = rownames(a), df = a[, 1], F = a[, 2], p = a[, 3])
  keep("smooths", model, cell = levels(d$cell), edf = s$s.table[, 1])
  for (f in factors) for (l in levels(d[[f]])) {
    r <- own(m, d, f, l); keep("means", model, at = "own", factor = f, level = l, mean = r[1], se = r[2], ci_low = NA, ci_high = NA)
  }
  specs <- as.list(factors); if (length(factors) > 1) specs <- c(specs, list(factors[1:2]))
  for (spec in specs) {
    e <- emmeans(m, spec, at = list(mag = mean(d$mag)), data = d); t <- as.data.frame(e); limits <- grep("CL$", names(t))
    keep("means", model, at = "mean", factor = paste(spec, collapse = ":"), level = do.call(paste, c(t[spec], sep = ", ")),
         mean = t$emmean, se = t$SE, ci_low = t[[limits[1]]], ci_high = t[[limits[2]]])
    if (length(spec) == 1) {
      t <- as.data.frame(summary(pairs(e), infer = c(TRUE, TRUE))); limits <- grep("CL$", names(t))
      keep("contrasts", model, factor = spec, contrast = t$contrast, difference = t$estimate, se = t$SE,
           ci_low = t[[limits[1]]], ci_high = t[[limits[2]]], p = t$p.value)
    }
  }
}

study("single", "full"); study("pair", "full"); study("pair-select", "full", select = TRUE)
study("full", "full"); study("full-tp", "full", bs = "tp"); study("corner", "full")
study("holes", "holes"); study("holes-tp", "holes", bs = "tp")
for (name in names(tables)) {
  cat(origin, "\n", sep = "", file = paste0(name, ".csv"))
  suppressWarnings(write.table(format(tables[[name]], digits = 15, trim = TRUE), paste0(name, ".csv"), append = TRUE, sep = ",", row.names = FALSE))
}
